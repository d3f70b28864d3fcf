"""Check the options of a video job before any work, and describe what the new film will not contain."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.runtime.pools import check_workers
from animeinterp.video.cadence.cut_list import CutList
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink.encoders import check_encoding
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.time_text import parse_rate
from animeinterp.video.timeline import Grid, build_grid

_ANY_RATE = Fraction(24)  # frames per second, stands for the source's while that is not known


def check_options(options: VideoOptions, source: Path, target: Path) -> None:
    """Check options that are wrong for any source.

    Args:
        options: The user's options.
        source: A video file or a folder of frames.
        target: The file or folder to write.

    Raises:
        UsageError: A value is not valid, or the target is the source.
    """
    if not 0 <= options.max_hold < math.inf or not 0 < options.flow_scale <= 4:
        raise UsageError("expected a longest hold of at least 0 s and a flow scale in (0, 4]; change these options")
    if options.workers is not None:
        check_workers(options.workers)
    if options.sound == "copy" and options.slow is not None:
        raise UsageError("sound cannot be copied into slow motion; stretch or drop it")
    if options.rate is not None:
        parse_rate(options.rate)
    plan_grid(options, _ANY_RATE)
    check_encoding(target, options.encoding)
    if target.exists() and source.exists() and source.samefile(target):
        raise UsageError(f"{target} is the source itself, which would be lost; choose another name")


def plan_grid(options: VideoOptions, source_rate: Fraction) -> Grid:
    """Build the grid of the options for a source of `source_rate` frames per second; raises as `build_grid`."""
    return build_grid(source_rate, fps=options.fps, times=options.times, slow=options.slow, preview=options.preview)


def check_preview(grid: Grid, film: VideoInfo) -> None:
    """Raise UsageError if a preview begins behind the end of the film."""
    if grid.begin and grid.begin >= film.duration:
        raise UsageError(
            f"expected a preview that begins within the film, which is {float(film.duration):g} s long, got one that "
            f"begins at {float(grid.begin):g} s; let it begin earlier"
        )


def describe_losses(grid: Grid, film: VideoInfo, cuts: CutList | None) -> list[str]:
    """Describe what the new film will not contain.

    Args:
        grid: The times of the new frames.
        film: The source.
        cuts: The user's cuts, if any.

    Returns:
        Sentences on source frames that are left out and on cuts behind the end of the film.
    """
    notes = []
    stop = film.duration if grid.end is None else min(film.duration, grid.end)
    source_count, new_count = round((stop - grid.begin) * film.rate), grid.count(film.duration)
    if grid.rate * grid.slow < film.rate and new_count < source_count:
        notes.append(
            f"the new film has {float(grid.rate):g} frames per second, the source {float(film.rate):g}: "
            f"about {source_count - new_count} of its {source_count} frames are left out"
        )
    if cuts is not None and film.frames:
        beyond = sum(number >= film.frames for number in cuts.frames) + sum(at >= film.duration for at in cuts.times)
        if beyond:
            total = len(cuts.frames) + len(cuts.times)
            notes.append(
                f"{beyond} of {total} cuts are behind the end of the film ({film.frames} frames, "
                f"{float(film.duration):g} s) and have no effect"
            )
    return notes
