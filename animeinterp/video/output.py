"""What the parts of a film become: a video with all else that the source held, an animated picture, or a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from animeinterp.errors import FileError, UsageError
from animeinterp.video.encoding import ANIMATED, Encoder, Encoding, choose_encoder
from animeinterp.video.film import Film
from animeinterp.video.muxing import check_streams, join
from animeinterp.video.parts import Parts
from animeinterp.video.pictures import animate, check_animation
from animeinterp.video.timeline import Grid

Sound = Literal["copy", "stretch", "drop"]


@dataclass(frozen=True, slots=True)
class Output:
    """How a target is made. film: what its frames look like. encoder: of the parts; None for a folder of frames.
    dropped: what of the source it cannot hold, as sentences."""

    target: Path
    film: Film
    grid: Grid
    encoder: Encoder | None
    sound: Sound
    dropped: list[str] = field(default_factory=list)

    def make(self, parts: Parts, end: Fraction) -> int:
        """Make the target. end: when the source ends, s. Returns how many damaged packets of sound are left out."""
        if self.encoder is None:
            parts.become(self.target)
        elif self.encoder.container in ANIMATED:
            animate(self.target, parts.pictures, self.grid.rate)
        else:
            stop = end if self.grid.end is None else min(end, self.grid.end)
            return join(
                self.target,
                parts.segments(),
                self.film,
                self.grid.rate,
                self.encoder,
                source=None if self.film.is_folder else self.film.path,
                stretch=self.grid.slow,
                sound=self.sound,
                start=self.grid.begin,
                end=None if self.grid.end is None else stop,
            )
        return 0


def output_of(target: Path, film: Film, grid: Grid, encoding: Encoding, sound: Sound, *, wide: bool = False) -> Output:
    """How to make `target`. wide: frames are twice as wide as the film's.

    Raises UsageError for a name or an encoding that cannot be.
    """
    film = replace(film, width=2 * film.width) if wide else film
    if not target.suffix:
        return Output(target, film, grid, None, "drop")
    encoder = choose_encoder(target, film, encoding)
    if encoder.container in ANIMATED:
        check_animation(target, film.width, film.height, grid.rate)
    if film.is_folder or encoder.container in ANIMATED:
        return Output(target, film, grid, encoder, "drop")
    return Output(target, film, grid, encoder, sound, check_streams(film.path, target, sound=sound, stretch=grid.slow))


def check_free(target: Path, force: bool) -> None:
    """Raise unless the target can be written: UsageError if it exists and not `force`, FileError for its folder."""
    if target.exists() and (target.is_dir() or not force):
        advice = "choose another name" if target.is_dir() else "choose another name or give --force to overwrite it"
        raise UsageError(f"{target} exists already; {advice}")
    if not target.parent.is_dir():
        raise FileError(f"cannot write {target}: {target.parent} is no folder; create it or choose another")
    if not os.access(target.parent, os.W_OK):
        raise FileError(f"cannot write {target}: no permission to write in {target.parent}; choose another folder")
