"""Sample a film before it is made: how many drawings it has, how many frames are new, how much of them moves.

Short films are read whole, long ones in a few windows spread evenly. Counts are of what the job itself would do:
the same detectors and the same schedule.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby, takewhile

import numpy as np

from animeinterp.frame import Frame
from animeinterp.inbetween import changed_region
from animeinterp.mattes import Region, crop, find_window
from animeinterp.video.cadence.cut_list import CutList
from animeinterp.video.cadence.drawings import Drawing, find_drawings
from animeinterp.video.source.info import TimedFrame, VideoInfo
from animeinterp.video.source.probe import MAX_PIXELS
from animeinterp.video.source.reader import Reader
from animeinterp.video.timeline import Grid, HoldPolicy, OutputFrame, schedule


@dataclass(frozen=True, slots=True)
class SamplingLimits:
    """How much of a film is read.

    By hand, so that a film of 1920x1080 takes about 20 s on one slow core.

    Attributes:
        windows: Windows of a long film, not a multiple of 3.
        window: Duration of each, s.
        margin: Time after a window that is read too, s, so that it is known what its last drawing moves to.
        max_seconds: Time after which no further window is begun, s.
        step: Of this many pairs of drawings in a row, one is searched for the region that changes.
        kept: Pairs that are kept to be drawn, at most.
        max_bytes: Memory for them, at most.
    """

    windows: int = 8
    window: Fraction = Fraction(3, 4)
    margin: Fraction = Fraction(1, 4)
    max_seconds: float = 20.0
    step: int = 4
    kept: int = 8
    max_bytes: int = 250_000_000


SAMPLING_LIMITS = SamplingLimits()
_NO_FRAME = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class DrawingPair:
    """Two drawings between which frames are drawn.

    Attributes:
        frame0: The first drawing.
        frame1: The second.
        region: Rows and columns that are interpolated; None for all.
        partial: Whether only the region that changes is interpolated. It differs from pair to pair, so both drawings
            are analyzed; else the first one was analyzed for the pair before.
    """

    frame0: Frame
    frame1: Frame
    region: Region | None
    partial: bool

    @property
    def pixels(self) -> int:
        """Number of pixels that are interpolated."""
        height, width = self.frame0.shape[:2]
        rows, columns = (slice(height), slice(width)) if self.region is None else self.region
        return len(range(*rows.indices(height))) * len(range(*columns.indices(width)))

    @property
    def analyses(self) -> int:
        """Number of drawings that are analyzed for this pair."""
        return 1 + self.partial

    def cropped(self) -> tuple[Frame, Frame]:
        """Return what is interpolated of both drawings."""
        if self.region is None:
            return self.frame0, self.frame1
        return crop(self.frame0, self.region), crop(self.frame1, self.region)


@dataclass(slots=True)
class FilmSample:
    """What was found in the sampled parts of a film.

    Attributes:
        whole: Whether the whole film was read.
        seconds: Duration of the parts, s.
        drawings_per_second: Distinct drawings of the source per second.
        cuts_per_second: Shots of the source per second, without the first.
        drawn: Fraction of the new film's frames that are drawn, in [0, 1].
        pairs: Pairs of drawings between which frames are drawn, per frame of the new film.
        searched: Interpolated pixels and number of analyses of pairs that were searched for what changes.
        kept: Pairs to draw, from different parts.
        still: A frame of the film.
        read_seconds: CPU time to read a frame of the source and to find drawings, s.
    """

    whole: bool
    seconds: Fraction = Fraction(0)
    drawings_per_second: float = 0.0
    cuts_per_second: float = 0.0
    drawn: float = 0.0
    pairs: float = 0.0
    searched: list[tuple[int, int]] = field(default_factory=list)
    kept: list[DrawingPair] = field(default_factory=list)
    still: Frame | None = None
    read_seconds: float = 0.0


def sample_film(
    film: VideoInfo,
    grid: Grid,
    policy: HoldPolicy,
    *,
    deinterlace: bool = False,
    cuts: CutList | None = None,
    limits: SamplingLimits = SAMPLING_LIMITS,
) -> FilmSample:
    """Read a film or parts of it.

    Args:
        film: As `probe` describes it.
        grid: The times of the new frames; only the part that it covers is sampled.
        policy: What to do with holds.
        deinterlace: Whether to make whole frames of fields.
        cuts: The user's cuts; None detects them. Those given by frame numbers are ignored in a part.
        limits: How much is read.

    Raises:
        FileError: The film cannot be read.
    """
    end = film.duration if grid.end is None else min(film.duration, grid.end)
    windows = _place_windows(grid, end, limits)
    sample = FilmSample(whole=len(windows) == 1)
    counter, began = _Counter(sample, limits, -(-limits.kept // len(windows))), time.monotonic()
    for start, stop in windows:
        if sample.seconds and time.monotonic() - began > limits.max_seconds:
            break
        pixels = max(MAX_PIXELS, film.width * film.height)
        reader = Reader(film, deinterlace=deinterlace, start=start, max_pixels=pixels)
        used = cuts if cuts is None or sample.whole or not cuts.frames else None
        counter.read(reader, replace(grid, begin=start, end=stop), policy, used)
        # Of a part the changes between its drawings are counted, one less.
        counter.duration += stop - start if sample.whole else stop - start - 1 / film.rate
        sample.seconds += stop - start
    counter.finish()
    return sample


def find_pair(frame0: Frame, frame1: Frame) -> DrawingPair:
    """Describe a pair of drawings as the job would interpolate it."""
    window = find_window(frame0, frame1)
    inner = (frame0, frame1) if window is None else (crop(frame0, window), crop(frame1, window))
    region = changed_region(*inner)
    if region is None:
        return DrawingPair(frame0, frame1, window, partial=False)
    if window is not None:
        rows, columns = (slice(w.start + r.start, w.start + r.stop) for w, r in zip(window, region, strict=True))
        region = rows, columns
    return DrawingPair(frame0, frame1, region, partial=True)


def _place_windows(grid: Grid, end: Fraction, limits: SamplingLimits) -> list[tuple[Fraction, Fraction]]:
    """Return begin and end of the windows, s; one for all of a short film."""
    length = end - grid.begin
    if length <= limits.windows * limits.window:
        return [(grid.begin, end)]
    # In an order that spreads any number of them; each begins with a frame of the new film, as the phase counts.
    order = [3 * k % limits.windows for k in range(limits.windows)]
    begins = [length * (2 * k + 1) / (2 * limits.windows) - limits.window / 2 for k in order]
    starts = [grid.time(round(begin * grid.rate * grid.slow)) for begin in begins]
    return [(start, start + limits.window) for start in starts]


def _read_window(reader: Reader, start: Fraction, stop: Fraction) -> Iterator[TimedFrame]:
    """Yield the frames of a window."""
    yield from takewhile(lambda frame: frame.time < stop, (frame for frame in reader if frame.time >= start))


def _note_drawings(drawings: Iterator[Drawing], found: list[Drawing]) -> Iterator[Drawing]:
    """Yield drawings and note them, without their frames."""
    for drawing in drawings:
        found.append(replace(drawing, frame=_NO_FRAME))
        yield drawing


class _Counter:
    """Counts what the windows hold."""

    def __init__(self, sample: FilmSample, limits: SamplingLimits, kept: int) -> None:
        """Count for `sample`; `kept` pairs are kept of each window."""
        self.duration = Fraction(0)  # s, in which drawings were counted
        self._sample, self._limits, self._kept = sample, limits, kept
        self._source = self._frames = self._drawn = self._pairs = self._drawings = self._cuts = 0
        self._cpu = 0.0

    def read(self, reader: Reader, window: Grid, policy: HoldPolicy, cuts: CutList | None) -> None:
        """Count the frames of a window, whose begin and end are those of the grid `window`.

        The last drawing is left out if it is not known what it moves to, unless it is held long.
        """
        assert window.end is not None
        stop, margin = window.end, window.end + self._limits.margin
        frames = self._watch(_read_window(reader, window.begin, margin))
        found: list[Drawing] = []
        drawings = find_drawings(frames, lambda: min(reader.end, margin), holds=policy.cadence != "off", cuts=cuts)
        last = self._count(schedule(_note_drawings(drawings, found), window, policy))
        inside = [drawing for drawing in found if drawing.time < stop]
        is_known = len(inside) < len(found) or reader.end <= stop
        if is_known or (inside and margin - inside[-1].time > policy.longest):
            self._add(*last)
        self._drawings += len(inside) if self._sample.whole else max(0, len(inside) - 1)
        self._cuts += sum(drawing.cut for drawing in inside[1:])

    def _count(self, planned: Iterator[OutputFrame]) -> tuple[int, int]:
        """Count the frames of all drawings but the last one; return the number of its frames, and of those drawn."""
        number, kept, last = 0, 0, (0, 0)
        for _, group in groupby(planned, lambda frame: frame.drawing.number):
            frames = list(group)
            self._add(*last)
            following = next((frame.following for frame in frames if frame.following is not None), None)
            last = len(frames), sum(frame.following is not None for frame in frames)
            if following is not None:
                if number % self._limits.step == 0:
                    kept += self._search(frames[0].drawing.frame, following.frame, keep=kept < self._kept)
                number += 1
        return last

    def _watch(self, frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
        """Yield the frames of a window and measure the CPU time from the first one on."""
        began = None
        try:
            for frame in frames:
                began = time.process_time() if began is None else began
                if self._sample.still is None:
                    self._sample.still = frame.frame
                self._source += 1
                yield frame
        finally:
            if began is not None:
                self._cpu += time.process_time() - began

    def finish(self) -> None:
        """Turn the counts into rates."""
        sample = self._sample
        seconds = float(max(self.duration, Fraction(1, 1000)))
        sample.drawings_per_second, sample.cuts_per_second = self._drawings / seconds, self._cuts / seconds
        sample.drawn, sample.pairs = (count / max(self._frames, 1) for count in (self._drawn, self._pairs))
        sample.read_seconds = self._cpu / max(self._source, 1)

    def _add(self, frames: int, drawn: int) -> None:
        """Add the frames of a drawing."""
        self._frames, self._drawn, self._pairs = self._frames + frames, self._drawn + drawn, self._pairs + bool(drawn)

    def _search(self, frame0: Frame, frame1: Frame, *, keep: bool) -> bool:
        """Search a pair for what changes, and keep it if wanted and memory allows; return whether it is kept."""
        began = time.process_time()
        pair = find_pair(frame0, frame1)
        self._sample.searched.append((pair.pixels, pair.analyses))
        kept = self._sample.kept
        keep = keep and (not kept or (len(kept) + 1) * 2 * frame0.nbytes <= self._limits.max_bytes)
        if keep:
            kept.append(pair)
        self._cpu -= time.process_time() - began
        return keep
