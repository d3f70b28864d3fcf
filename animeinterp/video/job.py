"""The job: a film in, a smoother film out.

    read ─► drawings ─► schedule ─► draw ─► segments ─► join
    a thread each: reading and finding drawings; analyzing them; encoding. Drawing itself is this thread's.

What is finished is kept in segments beside the target, whatever happens; a run that was broken off goes on behind them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from animeinterp.frame import Frame
from animeinterp.runtime.prefetch import prefetch
from animeinterp.video.cadence.cuts import parse_cuts
from animeinterp.video.cadence.drawings import CadenceReport, find_drawings
from animeinterp.video.checks import check_options, check_span, grid_for, notes_on
from animeinterp.video.compare import comparison_frame
from animeinterp.video.examine import examined
from animeinterp.video.inbetween import Inbetweener, Key, Pair
from animeinterp.video.options import VideoOptions
from animeinterp.video.progress import Progress
from animeinterp.video.settings import settings_of
from animeinterp.video.sink.frame_sink import FrameSink
from animeinterp.video.sink.segment_store import SegmentStore
from animeinterp.video.sink.target import check_free, plan_output
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from animeinterp.video.source.telecine import FIELD_ADVICE
from animeinterp.video.timeline import Holds, OutputFrame, parse_rate, schedule

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator

_FRAMES_AHEAD, _DRAWINGS_AHEAD = 4, 3


def interpolate_video(
    source: Path | str,
    target: Path | str,
    options: VideoOptions | None = None,
    *,
    interpolator: Interpolator | Callable[[], Interpolator] | None = None,
    report: Callable[[Progress], object] | None = None,
) -> Progress:
    """Make a smoother film of a film.

    source: a video file, or a folder of frames. target: a video file, an animated picture or a folder, by its name.
    interpolator: what draws, or what makes it; the default one if None. report: called after every frame.
    Raises UsageError for what cannot be, FileError for files that cannot be read or written. What was finished by then
    stays beside the target, and `resume` goes on.
    """
    job = _Job(Path(source), Path(target), options or VideoOptions(), report)
    with Inbetweener(_made(interpolator), job.options.flow_scale) as maker, job.opened(maker):
        if not job.store.complete:
            job.draw(maker)
        job.finish()
        job.tell(maker)
    return job.tally


def _made(interpolator: Interpolator | Callable[[], Interpolator] | None) -> Interpolator:
    """What draws. The class is imported last: it loads torch, and mistaken calls should end before that."""
    made = interpolator() if callable(interpolator) and not hasattr(interpolator, "analyze") else interpolator
    from animeinterp.interpolator import Interpolator, load_interpolator

    return made if isinstance(made, Interpolator) else load_interpolator()


class _Job:
    """What belongs together while one film is made. All that can be wrong with a call is found before any work."""

    def __init__(
        self, source: Path, target: Path, options: VideoOptions, report: Callable[[Progress], object] | None
    ) -> None:
        check_options(options, source, target)
        self.options, self._report, self._began = options, report, time.monotonic()
        self._drawing = self._began  # when the first frame was asked for
        self._cuts = None if options.cuts is None else parse_cuts(options.cuts)
        self.store = SegmentStore(target, images=not target.suffix)
        self.store.check(resume=options.resume, force=options.force)
        if not (options.resume and self.store.is_target_complete()):
            check_free(target, options.force)
        rate = None if options.rate is None else parse_rate(options.rate)
        self.film = probe(source, rate=rate, deinterlace=options.deinterlace, max_pixels=options.max_pixels)
        self.grid = grid_for(options, self.film.rate)
        check_span(self.grid, self.film)
        self.film = examined(self.film, target, options.encoding, begin=self.grid.begin, end=self.grid.end)
        self._holds = Holds(options.cadence, Fraction(options.max_hold))
        # Frames are counted from where reading begins: cuts given by number need the film from its first frame on.
        start = Fraction(0) if self._cuts is not None and self._cuts.frames else self.grid.begin
        self._reader = Reader(self.film, deinterlace=options.deinterlace, start=start, max_pixels=options.max_pixels)
        self._cadence = CadenceReport()
        self._output = plan_output(
            target,
            self.film,
            self.grid,
            options.encoding,
            self._sound(),
            compare=options.compare,
            max_pixels=options.max_pixels,
        )
        self.sink = FrameSink(self.store, self._output.film, self.grid.rate, self._output.encoder)
        self.tally = Progress(total=self.grid.count(self.film.duration), dropped=self._output.dropped)
        self.tally.notes += self.film.notes
        self.tally.notes += notes_on(self.grid, self.film, self._cuts)

    @contextmanager
    def opened(self, maker: Inbetweener) -> Iterator[None]:
        """Hold the parts, those of an earlier run if it is to go on."""
        options, output = self.options, self._output
        settings = settings_of(options, self.film, self.grid, output.encoder, self._cuts, maker.interpolator)
        with self.store.opened(settings, resume=options.resume, force=options.force):
            self.tally.kept, self._drawing = self.store.frames, time.monotonic()
            self.tell(maker)
            yield

    def draw(self, maker: Inbetweener) -> None:
        """Draw what is missing of the new film."""
        with self.sink.opened() as write:
            for frame in self.frames(maker):
                write(frame)
                self.tell(maker)

    def frames(self, maker: Inbetweener) -> Iterator[Frame]:
        """The new film's frames behind those that are finished."""
        found = find_drawings(
            prefetch(self._reader, _FRAMES_AHEAD),
            lambda: self._reader.end,
            holds=self._holds.cadence != "off",
            cuts=self._cuts,
            report=self._cadence,
        )
        with closing(prefetch(found, _DRAWINGS_AHEAD)) as stream:
            cels = schedule(stream, self.grid, self._holds, begin=self.tally.kept, loop=self.options.loop)
            for cel, frame in _drawn(cels, maker):
                self.tally.drawn += cel.following is not None
                self.tally.shown += cel.following is None
                self.tally.held += cel.cut
                frame = self._output.shaped(frame)
                if self.options.compare is not None:
                    source = self._output.shaped(cel.drawing.frame)
                    time = cel.number / self.grid.rate
                    frame = comparison_frame(source, frame, time, self.options.compare, self._labels())
                yield frame

    def _labels(self) -> tuple[str, str]:
        rates = (f"{float(rate):.6g} fps" for rate in (self.film.rate, self.grid.rate))
        source, new = (f"{name} {rate}" for name, rate in zip(("source", "new"), rates, strict=True))
        return source, new

    def finish(self) -> None:
        """Make the target of the parts, and leave nothing else."""
        tally = self.tally
        tally.lost = self.store.finish(
            lambda path: self._output.make(self.sink, self._reader.end, path), force=self.options.force
        )
        # What was expected may have been a little wrong.
        tally.total = tally.kept + tally.drawn + tally.shown
        fields = self._reader.fields.classify()
        if fields != "progressive":
            tally.notes.append(f"a part of the source {FIELD_ADVICE[fields]}")

    def tell(self, maker: Inbetweener) -> None:
        """Bring the tally up to date and report it."""
        tally, cadence = self.tally, self._cadence
        tally.frames = tally.kept + tally.drawn + tally.shown
        tally.cuts, tally.damaged, tally.shrunk = cadence.cuts, self._reader.damaged, maker.shrunk
        tally.ones, tally.twos, tally.threes, tally.longer = cadence.ones, cadence.twos, cadence.threes, cadence.longer
        tally.doubled = self._reader.dropped
        tally.total = max(tally.total, tally.frames)
        tally.notes += [note for note in self.store.notes if note not in tally.notes]
        now = time.monotonic()
        tally.timed(now - self._began, now - self._drawing)
        if self._report is not None:
            self._report(tally)

    def _sound(self) -> Literal["copy", "stretch", "drop"]:
        if self.options.sound == "auto":
            return "copy" if self.grid.slow == 1 else "stretch"
        return self.options.sound


def _drawn(cels: Iterator[OutputFrame], maker: Inbetweener) -> Iterator[tuple[OutputFrame, Frame]]:
    """Each frame with its picture. A drawing is a key of two pairs and analyzed once, while those before are drawn."""
    keys: dict[int, Key] = {}
    waiting: tuple[list[OutputFrame], Pair | None] = [], None
    for group in chain(_grouped(cels), [[]]):
        pair = None
        if group and group[0].following is not None:
            ends = group[0].drawing, group[0].following
            keys = {end.number: keys.get(end.number) or Key(end.frame) for end in ends}
            pair = maker.pair(*keys.values())
        before, waiting = waiting, (group, pair)
        for cel in before[0]:
            yield cel, cel.drawing.frame if before[1] is None else before[1].draw(cel.t)


def _grouped(cels: Iterator[OutputFrame]) -> Iterator[list[OutputFrame]]:
    """Frames in a row between the same drawings."""
    for _, group in groupby(cels, lambda cel: (cel.drawing.number, cel.following is not None)):
        yield list(group)
