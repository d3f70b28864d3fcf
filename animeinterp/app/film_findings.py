"""What is found in a film before it is made: size, rate, how long drawings are held, and cuts with pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from animeinterp.frame import Frame, RGBImage, rgb8
from animeinterp.video.cadence.drawings import CadenceReport, find_drawings
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader

_THUMB = 240  # px, width of a picture
_GAP = 6  # px between the frames before and after a cut


@dataclass(frozen=True, slots=True, eq=False)
class FoundCut:
    """A cut.

    Attributes:
        number: Of the first frame of the new shot.
        time: Of that frame, s.
        picture: The drawing before it and the drawing after it, side by side, RGB.
    """

    number: int
    time: float
    picture: RGBImage


@dataclass(slots=True)
class FilmFindings:
    """What was found so far.

    Attributes:
        film: What the file says of itself.
        cadence: Counts of drawings.
        cuts: In order.
        seconds: How much of the film was read, s.
        whole: Whether all of it was.
    """

    film: VideoInfo
    cadence: CadenceReport = field(default_factory=CadenceReport)
    cuts: list[FoundCut] = field(default_factory=list)
    seconds: float = 0.0
    whole: bool = False


def search_film(path: Path, max_pixels: int, max_seconds: float, go_on: Callable[[FilmFindings], bool]) -> FilmFindings:
    """Search a film for drawings and cuts, from its beginning.

    Args:
        path: The film, or a folder of frames.
        max_pixels: Larger frames are refused.
        max_seconds: How much of it is read at most, s.
        go_on: Called with every drawing; False ends the search.

    Returns:
        What was found.

    Raises:
        FileError: The film cannot be read.
        UsageError: Its frames are joined fields.
        FrameError: Its frames are too small or too large.
    """
    findings = FilmFindings(probe(path, max_pixels=max_pixels))
    reader = Reader(findings.film, max_pixels=max_pixels)
    before: RGBImage | None = None
    for drawing in find_drawings(reader, lambda: reader.end, report=findings.cadence):
        small = _thumbnail(drawing.frame)
        if drawing.cut and before is not None:
            gap = np.full((small.shape[0], _GAP, 3), 255, np.uint8)
            picture = np.concatenate([before, gap, small], axis=1)
            findings.cuts.append(FoundCut(drawing.number, float(drawing.time), picture))
        before = small
        findings.seconds = float(drawing.end_time)
        if drawing.end_time > Fraction(max_seconds) or not go_on(findings):
            return findings
    findings.whole = True
    return findings


def _thumbnail(frame: Frame) -> RGBImage:
    """Return a small picture of a frame, as 8-bit RGB."""
    height = max(1, round(frame.shape[0] * _THUMB / frame.shape[1]))
    return np.asarray(cv2.resize(rgb8(frame), (_THUMB, height), interpolation=cv2.INTER_AREA)).astype(np.uint8)
