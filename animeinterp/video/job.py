"""Make a smoother film of a film.

    read ─► drawings ─► schedule ─► draw ─► segments ─► join

Worker processes draw (or this one, if there is one worker, or a cluster); two threads work beside this one: one reads
and finds drawings, one encodes. Finished segments are stored beside the target, so that an interrupted run can be
continued.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from animeinterp.doubt import Judging
from animeinterp.frame import Frame
from animeinterp.pairs import RUN_LIMITS, FramePair, ModelChoice, PairDrawer, choose_workers
from animeinterp.runtime.prefetch import prefetch
from animeinterp.video.cadence.cut_list import parse_cuts
from animeinterp.video.cadence.drawings import CadenceReport, find_drawings
from animeinterp.video.checks import check_options, check_preview, describe_losses, plan_grid
from animeinterp.video.compare import comparison_frame
from animeinterp.video.examine import examine
from animeinterp.video.options import VideoOptions
from animeinterp.video.progress import Progress
from animeinterp.video.settings import describe_interpolator, describe_settings
from animeinterp.video.sink.frame_sink import FrameSink
from animeinterp.video.sink.segment_store import SegmentStore
from animeinterp.video.sink.target import check_free, plan_output
from animeinterp.video.source.probe import probe
from animeinterp.video.source.reader import Reader
from animeinterp.video.source.telecine import FIELD_ADVICE
from animeinterp.video.time_text import parse_rate
from animeinterp.video.timeline import HoldPolicy, OutputFrame, schedule

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator

_PREFETCHED_FRAMES, _PREFETCHED_DRAWINGS = 4, 3


def interpolate_video(
    source: Path | str,
    target: Path | str,
    options: VideoOptions | None = None,
    *,
    interpolator: Interpolator | Callable[[], Interpolator] | None = None,
    report: Callable[[Progress], object] | None = None,
) -> Progress:
    """Make a smoother film of a film.

    Args:
        source: A video file, or a folder of frames.
        target: A video file or an animated image, by its suffix; a folder of frames without one.
        options: What to make; the defaults double the frame rate.
        interpolator: Draws the frames, or a function that returns it, such as a `ModelChoice`; None loads the default
            model. With several workers it is pickled: each has its own.
        report: Called after every frame.

    Returns:
        What was done.

    Raises:
        UsageError: The options are invalid or do not fit the source or the target.
        FileError: A file cannot be read or written. What is finished by then stays beside the target, and `resume`
            continues it.
    """
    job = _Job(Path(source), Path(target), options or VideoOptions(), report)
    with job.opened_drawer(interpolator or ModelChoice()) as drawer, job.opened(drawer):
        if not job.store.complete:
            job.draw(drawer)
        job.finish()
        job.update_progress(drawer)
    return job.progress


class _Job:
    """The state of one video job. Everything that can be wrong with a call is checked before any work."""

    def __init__(
        self, source: Path, target: Path, options: VideoOptions, report: Callable[[Progress], object] | None
    ) -> None:
        check_options(options, source, target)
        self.options, self._report, self._began = options, report, time.monotonic()
        self._drawing_began = self._began
        self._cuts = None if options.cuts is None else parse_cuts(options.cuts)
        self.store = SegmentStore(target, images=not target.suffix)
        self.store.check(resume=options.resume, force=options.force)
        if not (options.resume and self.store.is_target_complete()):
            check_free(target, options.force)
        rate = None if options.rate is None else parse_rate(options.rate)
        self._film = probe(source, rate=rate, deinterlace=options.deinterlace, max_pixels=options.max_pixels)
        self._grid = plan_grid(options, self._film.rate)
        check_preview(self._grid, self._film)
        self._film = examine(self._film, target, options.encoding, begin=self._grid.begin, end=self._grid.end)
        self._policy = HoldPolicy(options.cadence, Fraction(options.max_hold))
        # Frames are counted from where reading begins: cuts given by number need the film from its first frame on.
        start = Fraction(0) if self._cuts is not None and self._cuts.frames else self._grid.begin
        self._reader = Reader(self._film, deinterlace=options.deinterlace, start=start, max_pixels=options.max_pixels)
        self._cadence = CadenceReport()
        self._output = plan_output(
            target,
            self._film,
            self._grid,
            options.encoding,
            self._sound(),
            compare=options.compare,
            max_pixels=options.max_pixels,
        )
        self._sink = FrameSink(self.store, self._output.film, self._grid.rate, self._output.encoder)
        self.progress = Progress(total=self._grid.count(self._film.duration), dropped=self._output.dropped)
        self.progress.notes += [*self._film.notes, *describe_losses(self._grid, self._film, self._cuts)]

    def opened_drawer(self, source: Interpolator | Callable[[], Interpolator]) -> PairDrawer:
        """Prepare what draws; nothing is loaded yet, because that takes time and invalid calls end before."""
        pixels, workers = self._film.width * self._film.height, self.options.workers
        if workers is None:
            pairs = min(self._film.frames or self.progress.total, self.progress.total)
            workers = choose_workers(source, pixels, pairs)
        judging: Judging = "hold" if self.options.doubtful == "hold" else "pairs"
        automatic, scale = self.options.workers is None, self.options.flow_scale
        return PairDrawer(source, workers, scale, automatic=automatic, pixels=pixels, judging=judging)

    @contextmanager
    def opened(self, drawer: PairDrawer) -> Iterator[None]:
        """Open the store, with the segments of an earlier run if that is continued."""
        drawn_by = drawer.call(describe_interpolator)
        settings = describe_settings(self.options, self._film, self._grid, self._output.encoder, self._cuts, drawn_by)
        with self.store.opened(settings, resume=self.options.resume, force=self.options.force):
            self.progress.kept, self._drawing_began = self.store.frames, time.monotonic()
            self.update_progress(drawer)
            yield

    def draw(self, drawer: PairDrawer) -> None:
        """Draw the frames of the new film that are not finished yet."""
        with self._sink.opened() as write:
            for frame in self._frames(drawer):
                write(frame)
                self.update_progress(drawer)

    def finish(self) -> None:
        """Join the segments to the target and remove the store."""
        progress = self.progress
        progress.lost = self.store.finish(
            lambda path: self._output.make(self._sink, self._reader.end, path), force=self.options.force
        )
        # The total was an estimate.
        progress.total = progress.kept + progress.drawn + progress.shown
        fields = self._reader.fields.classify()
        if fields != "progressive":
            progress.notes.append(f"a part of the source {FIELD_ADVICE[fields]}")

    def update_progress(self, drawer: PairDrawer) -> None:
        """Update the progress and report it."""
        progress, cadence = self.progress, self._cadence
        progress.frames = progress.kept + progress.drawn + progress.shown
        for name in ("cuts", "ones", "twos", "threes", "longer"):
            setattr(progress, name, getattr(cadence, name))
        progress.damaged, progress.doubled = self._reader.damaged, self._reader.dropped
        progress.shrunk = drawer.shrunk
        progress.total = max(progress.total, progress.frames)
        progress.notes += [note for note in self.store.notes if note not in progress.notes]
        now = time.monotonic()
        progress.update_speed(now - self._began, now - self._drawing_began)
        if self._report is not None:
            self._report(progress)

    def _frames(self, drawer: PairDrawer) -> Iterator[Frame]:
        """Draw the frames of the new film after those that are finished, in the target's orientation and layout."""
        drawings = find_drawings(
            prefetch(self._reader, _PREFETCHED_FRAMES),
            lambda: self._reader.end,
            holds=self._policy.cadence != "off",
            cuts=self._cuts,
            report=self._cadence,
        )
        with closing(prefetch(drawings, _PREFETCHED_DRAWINGS)) as stream:
            planned = schedule(stream, self._grid, self._policy, begin=self.progress.kept, loop=self.options.loop)
            for output_frame, image, doubtful in _draw_frames(planned, drawer):
                avoided = doubtful and self.options.doubtful == "hold"
                drawn = output_frame.following is not None and not avoided
                self.progress.drawn += drawn
                self.progress.shown += not drawn
                self.progress.doubtful += doubtful
                self.progress.avoided += avoided
                self.progress.held += output_frame.cut
                yield self._layout(output_frame, image)

    def _layout(self, output_frame: OutputFrame, image: Frame) -> Frame:
        """Turn a frame to the target's orientation, and put the source beside it for a comparison."""
        image = self._output.shape(image)
        if self.options.compare is None:
            return image
        source = self._output.shape(output_frame.drawing.frame)
        labels = f"source {float(self._film.rate):.6g} fps", f"new {float(self._grid.rate):.6g} fps"
        return comparison_frame(source, image, output_frame.number / self._grid.rate, self.options.compare, labels)

    def _sound(self) -> Literal["copy", "stretch", "drop"]:
        """Resolve the sound option."""
        if self.options.sound == "auto":
            return "copy" if self._grid.slow == 1 else "stretch"
        return self.options.sound


def _draw_frames(planned: Iterator[OutputFrame], drawer: PairDrawer) -> Iterator[tuple[OutputFrame, Frame, bool]]:
    """Draw planned frames in order, and tell which are doubtful."""
    groups: deque[list[OutputFrame]] = deque()  # those that were taken and not drawn yet

    def pairs() -> Iterator[FramePair]:
        for group in _group_by_pair(planned):
            groups.append(group)
            drawing, following = group[0].drawing, group[0].following
            if following is None:
                yield drawing.frame, drawing.frame, ()
            else:
                yield drawing.frame, following.frame, [frame.t for frame in group]

    for drawn in drawer.draw(pairs()):
        group = groups.popleft()
        images = drawn.frames or [frame.drawing.frame for frame in group]
        doubtful = [doubt.is_doubtful for doubt in drawn.doubts] or [False] * len(group)
        yield from zip(group, images, doubtful, strict=True)


def _group_by_pair(planned: Iterator[OutputFrame]) -> Iterator[list[OutputFrame]]:
    """Group frames in a row between the same drawings, not too many at once."""
    for _, group in groupby(planned, lambda frame: (frame.drawing.number, frame.following is not None)):
        while part := list(islice(group, RUN_LIMITS.frames)):
            yield part
