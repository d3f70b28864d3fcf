"""AnimeInterp draws the frames between two frames of a 2D animation.

>>> import animeinterp
>>> interpolator = animeinterp.load_interpolator()
>>> middle = interpolator(frame0, frame1, t=0.5)

Public names are imported on first use, so that `import animeinterp` is fast and loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from animeinterp.config import LineStyle, Options, Preset
    from animeinterp.errors import (
        AnimeInterpError,
        AnimeInterpWarning,
        CacheWarning,
        DeviceWarning,
        FileError,
        FrameError,
        MissingExtraError,
        UsageError,
        WeightsError,
        WeightsWarning,
    )
    from animeinterp.explain import explain_motion
    from animeinterp.frame import Frame
    from animeinterp.hints import Hint, Hints
    from animeinterp.hints_file import read_hints, write_hints
    from animeinterp.interpolator import Interpolator
    from animeinterp.keys.job import DrawnKeys, KeysProgress, draw_keys
    from animeinterp.keys.settings import KeySettings
    from animeinterp.loading import load_interpolator
    from animeinterp.motion import Analysis, Motion
    from animeinterp.pairs import ModelChoice, draw_pairs
    from animeinterp.runtime.ray_cluster import RayWorkers
    from animeinterp.segment_matching import CoarseFlows
    from animeinterp.video.compare import Compare
    from animeinterp.video.estimate import FilmEstimate, estimate_films
    from animeinterp.video.films import FilmResult, FilmsProgress, interpolate_films
    from animeinterp.video.job import interpolate_video
    from animeinterp.video.options import Sound, VideoOptions
    from animeinterp.video.progress import Progress
    from animeinterp.video.sink.encoding import Encoding
    from animeinterp.video.timeline import Cadence
    from animeinterp.weights import available_models
    from animeinterp.weights.records import ModelRecord, Score

_HOME = {
    "Analysis": "animeinterp.motion",
    "AnimeInterpError": "animeinterp.errors",
    "AnimeInterpWarning": "animeinterp.errors",
    "CacheWarning": "animeinterp.errors",
    "Cadence": "animeinterp.video.timeline",
    "CoarseFlows": "animeinterp.segment_matching",
    "Compare": "animeinterp.video.compare",
    "DeviceWarning": "animeinterp.errors",
    "DrawnKeys": "animeinterp.keys.job",
    "Encoding": "animeinterp.video.sink.encoding",
    "FileError": "animeinterp.errors",
    "FilmEstimate": "animeinterp.video.estimate",
    "FilmResult": "animeinterp.video.films",
    "FilmsProgress": "animeinterp.video.films",
    "Frame": "animeinterp.frame",
    "FrameError": "animeinterp.errors",
    "Hint": "animeinterp.hints",
    "Hints": "animeinterp.hints",
    "Interpolator": "animeinterp.interpolator",
    "KeySettings": "animeinterp.keys.settings",
    "KeysProgress": "animeinterp.keys.job",
    "LineStyle": "animeinterp.config",
    "MissingExtraError": "animeinterp.errors",
    "ModelChoice": "animeinterp.pairs",
    "ModelRecord": "animeinterp.weights.records",
    "Motion": "animeinterp.motion",
    "Options": "animeinterp.config",
    "Preset": "animeinterp.config",
    "Progress": "animeinterp.video.progress",
    "RayWorkers": "animeinterp.runtime.ray_cluster",
    "Score": "animeinterp.weights.records",
    "Sound": "animeinterp.video.options",
    "UsageError": "animeinterp.errors",
    "VideoOptions": "animeinterp.video.options",
    "WeightsError": "animeinterp.errors",
    "WeightsWarning": "animeinterp.errors",
    "available_models": "animeinterp.weights",
    "draw_keys": "animeinterp.keys.job",
    "draw_pairs": "animeinterp.pairs",
    "estimate_films": "animeinterp.video.estimate",
    "explain_motion": "animeinterp.explain",
    "interpolate_films": "animeinterp.video.films",
    "interpolate_video": "animeinterp.video.job",
    "load_interpolator": "animeinterp.loading",
    "read_hints": "animeinterp.hints_file",
    "write_hints": "animeinterp.hints_file",
}

__all__ = [
    "Analysis",
    "AnimeInterpError",
    "AnimeInterpWarning",
    "CacheWarning",
    "Cadence",
    "CoarseFlows",
    "Compare",
    "DeviceWarning",
    "DrawnKeys",
    "Encoding",
    "FileError",
    "FilmEstimate",
    "FilmResult",
    "FilmsProgress",
    "Frame",
    "FrameError",
    "Hint",
    "Hints",
    "Interpolator",
    "KeySettings",
    "KeysProgress",
    "LineStyle",
    "MissingExtraError",
    "ModelChoice",
    "ModelRecord",
    "Motion",
    "Options",
    "Preset",
    "Progress",
    "RayWorkers",
    "Score",
    "Sound",
    "UsageError",
    "VideoOptions",
    "WeightsError",
    "WeightsWarning",
    "available_models",
    "draw_keys",
    "draw_pairs",
    "estimate_films",
    "explain_motion",
    "interpolate_films",
    "interpolate_video",
    "load_interpolator",
    "read_hints",
    "write_hints",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'animeinterp' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
