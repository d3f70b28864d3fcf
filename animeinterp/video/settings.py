"""Describe all that decides the pixels of a new film, as text: a run is continued only if none of it has changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

from animeinterp import __version__
from animeinterp.video.cadence.cut_list import CutList
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink.encoders import Encoder
from animeinterp.video.source.fingerprint import fingerprint
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.timeline import Grid

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator

# Other versions of these draw or encode other bits.
_LIBRARIES = ("av", "numpy", "opencv-python-headless", "torch")


def describe_settings(
    options: VideoOptions,
    film: VideoInfo,
    grid: Grid,
    encoder: Encoder | None,
    cuts: CutList | None,
    drawn_by: dict[str, str],
) -> dict[str, str]:
    """Describe what decides a film.

    Args:
        options: The user's options.
        film: The source; its content counts, not its name.
        grid: The times of the new frames.
        encoder: The encoder of the segments; None for a folder of frames.
        cuts: The user's cuts; their content counts, not their file.
        drawn_by: The interpolator with the options that it runs with, by `describe_interpolator`.

    Returns:
        Values by the names that messages use.

    Raises:
        FileError: The source cannot be read.
    """
    encoding = options.encoding
    return {
        "source": fingerprint(film.path),
        "source rate": str(film.rate),
        "fps": str(grid.rate),
        "slow": str(grid.slow),
        "preview": "none" if grid.end is None else f"{grid.begin} s to {grid.end} s",
        "cadence": options.cadence,
        "max hold": str(options.max_hold),
        "cuts": "found" if cuts is None else cuts.describe(),
        "loop": str(options.loop),
        "sound": options.sound,
        "codec": "png" if encoder is None else f"{encoder.name} {encoder.pix_fmt} for {encoder.container}",
        "quality": str(encoding.quality),
        "crf": str(encoding.crf),
        "preset": str(encoding.preset),
        "lossless": str(encoding.lossless),
        "bits": str(encoding.bits),
        "encoder options": json.dumps(dict(sorted(encoding.encoder_options.items()))),
        "flow scale": str(options.flow_scale),
        "doubtful": _describe_doubtful(options),
        "compare": str(options.compare),
        "deinterlace": str(options.deinterlace),
        **drawn_by,
        "version": __version__,
        "libraries": ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES),
    }


def describe_interpolator(interpolator: Interpolator) -> dict[str, str]:
    """Describe what decides the frames of an interpolator; weights by their SHA-256."""
    from animeinterp.builder import digest

    weights, vgg = ("none" if network is None else digest(network.state_dict()) for network in interpolator.learned)
    return {
        "model": interpolator.preset.name,
        "weights": weights,
        "vgg": vgg,
        "device": interpolator.device.type,
        "architecture": str(interpolator.preset),
        **{name: str(value) for name, value in asdict(interpolator.options).items()},
        "precision": interpolator.precision,
    }


def _describe_doubtful(options: VideoOptions) -> str:
    """Describe which frames are held in place of doubtful ones."""
    if options.doubtful == "draw":
        return "draw"
    from animeinterp.confidence import CONFIDENCE

    return f"hold, {CONFIDENCE}"


def _version(library: str) -> str:
    """Return the installed version of a library."""
    try:
        return version_of(library)
    except PackageNotFoundError:  # such as OpenCV under another name
        return "unknown"
