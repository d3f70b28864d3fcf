"""What can be wrong with a call, found before the first byte is written; and what the user should know of it."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.video.cadence.cuts import CutList
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink.encoders import container_of
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.timeline import Grid, grid_of, parse_rate

_ANY_RATE = Fraction(24)


def check_options(options: VideoOptions, source: Path, target: Path) -> None:
    """Raise UsageError for options that are wrong whatever the source is."""
    if not 0 <= options.max_hold < math.inf or not 0 < options.flow_scale <= 4:
        raise UsageError("expected a longest hold of at least 0 s and a flow scale in (0, 4]; change these options")
    if options.sound == "copy" and options.slow is not None:
        raise UsageError("sound cannot be copied into slow motion; stretch or drop it")
    if options.rate is not None:
        parse_rate(options.rate)
    grid_for(options, _ANY_RATE)
    if target.suffix:
        container_of(target)
    if target.exists() and source.exists() and source.samefile(target):
        raise UsageError(f"{target} is the source itself, which would be lost; choose another name")


def grid_for(options: VideoOptions, rate: Fraction) -> Grid:
    """The grid that the options ask for, for a source of so many frames per second. Raises UsageError."""
    return grid_of(rate, fps=options.fps, times=options.times, slow=options.slow, preview=options.preview)


def check_span(grid: Grid, film: VideoInfo) -> None:
    """Raise UsageError if a preview would show nothing of the film."""
    if grid.begin and grid.begin >= film.duration:
        raise UsageError(
            f"expected a preview of a part of the film, which is {float(film.duration):g} s long; the one asked for "
            f"begins at {float(grid.begin):g} s, so let it begin earlier"
        )


def notes_on(grid: Grid, film: VideoInfo, cuts: CutList | None) -> list[str]:
    """Sentences on what of the source the new film will not show, and on cuts that it cannot have."""
    notes = []
    stop = film.duration if grid.end is None else min(film.duration, grid.end)
    there, new = round((stop - grid.begin) * film.rate), grid.count(film.duration)
    if grid.rate * grid.slow < film.rate and new < there:
        notes.append(
            f"the new film has {float(grid.rate):g} frames per second, the source {float(film.rate):g}: "
            f"about {there - new} of its {there} frames are left out"
        )
    if cuts is not None and film.frames:
        beyond = sum(number >= film.frames for number in cuts.frames) + sum(at >= film.duration for at in cuts.times)
        if beyond:
            known = len(cuts.frames) + len(cuts.times)
            notes.append(
                f"{beyond} of {known} cuts lie behind the end of the film ({film.frames} frames, "
                f"{float(film.duration):g} s) and change nothing"
            )
    return notes
