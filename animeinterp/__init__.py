"""AnimeInterp: the frames between two frames of a 2D animation.

>>> import animeinterp
>>> interpolator = animeinterp.load_interpolator()
>>> middle = interpolator(frame0, frame1, t=0.5)

The public names are imported when first used, so that `import animeinterp` is quick and loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from animeinterp.errors import AnimeInterpError
    from animeinterp.interpolator import Interpolator, load_interpolator
    from animeinterp.motion import Analysis, Motion
    from animeinterp.options import Options
    from animeinterp.video.job import VideoOptions, interpolate_video
    from animeinterp.weights import available_models

_HOME = {
    "Analysis": "animeinterp.motion",
    "AnimeInterpError": "animeinterp.errors",
    "Interpolator": "animeinterp.interpolator",
    "Motion": "animeinterp.motion",
    "Options": "animeinterp.options",
    "VideoOptions": "animeinterp.video.job",
    "available_models": "animeinterp.weights",
    "interpolate_video": "animeinterp.video.job",
    "load_interpolator": "animeinterp.interpolator",
}

__all__ = [
    "Analysis",
    "AnimeInterpError",
    "Interpolator",
    "Motion",
    "Options",
    "VideoOptions",
    "available_models",
    "interpolate_video",
    "load_interpolator",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'animeinterp' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
