"""SGM flows on disk: the coarse flow of segment-guided matching for each triplet, in the layout of ATD-12K.

    SET_pre_calc_sgm_flows/NAME/guide_flo13.npy     from frame 1 to frame 3
    SET_pre_calc_sgm_flows/NAME/guide_flo31.npy     from frame 3 to frame 1
    SET_pre_calc_sgm_flows.json                     the settings

Each is float32 (2, h, w), x first, px of that size, 0 where unknown. Frames of more than 960x540 pixels are matched,
and their flows stored, at about that size; readers resize them, as the published one does. Deviation: the published
flows are float64 (numpy's default) of exactly 960x540.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animeinterp.config import Options
from animeinterp.data.atd12k import FLOW_NAMES, TripletFiles, read_triplet
from animeinterp.data.flow_settings import FlowSettings, check_settings
from animeinterp.errors import FileError, FrameError
from animeinterp.flow import Flow
from animeinterp.frame import RGBImage
from animeinterp.interpolator import Interpolator
from animeinterp.io.files import atomic_folder, check_name, lock_folder, make_folder, write_bytes
from animeinterp.loading import load_interpolator
from animeinterp.runtime.pools import Workers, map_in_workers
from animeinterp.runtime.ray_cluster import RayCluster, RayWorkers
from animeinterp.segment_matching import match_segments


@dataclass(frozen=True, slots=True)
class FlowResult:
    """What was done with a triplet.

    Attributes:
        triplet: Name of the triplet.
        written: Whether its flows were written; false if they existed or could not be computed.
        fault: Why they could not be computed, else empty.
    """

    triplet: str
    written: bool = False
    fault: str = ""


def compute_flows(
    frame1: RGBImage, frame3: RGBImage, settings: FlowSettings, interpolator: Interpolator | None = None
) -> tuple[Flow, Flow]:
    """Compute the SGM flows between two frames. OpenCV should use one thread: DIS flow depends on their number.

    Args:
        frame1: uint8 (H, W, 3) RGB.
        frame3: Another of the same size.
        settings: How the flows are computed.
        interpolator: Of these settings; None loads it.

    Returns:
        The flows from frame 1 to frame 3 and from frame 3 to frame 1, as the files store them.

    Raises:
        FrameError: The frames have an unsupported size.
    """
    interpolator = interpolator or _interpolator(settings)
    first = interpolator.analyze(frame1)
    third = interpolator.analyze(frame3, first.segments.style)  # segments of another style would not match
    matches = match_segments(first, third, settings.deformation)
    return matches.coarse01.flow, matches.coarse10.flow


def write_flows(
    files: Sequence[TripletFiles], folder: Path, settings: FlowSettings | None = None, *, workers: Workers = 1
) -> Iterator[FlowResult]:
    """Write the SGM flows of triplets; existing ones are kept.

    Args:
        files: The triplets.
        folder: Folder of the flows.
        settings: How the flows are computed.
        workers: Number of processes; 1 works in this one. `RayWorkers()` works on a Ray cluster; only this process
            reads and writes files. The flows do not depend on it.

    Yields:
        The result for each triplet, in order. Triplets that cannot be read are skipped.

    Raises:
        UsageError: The folder holds flows of other settings.
        FileError: It cannot be written.
    """
    settings = settings or FlowSettings()
    for triplet in files:
        check_name(triplet.name, "the data set")
    check_settings(folder, settings, write=True)
    make_folder(folder)
    with lock_folder(folder), ExitStack() as stack:
        load: Callable[[], Interpolator] = partial(_interpolator, settings)
        if isinstance(workers, RayWorkers):
            from animeinterp.cluster import send_models

            cluster = stack.enter_context(RayCluster(workers))
            (load,), _ = send_models(cluster, [load], "cpu")
        tasks = (_read_task(folder, one) for one in files)
        for done in map_in_workers(_Computer(settings, load), tasks, workers):
            yield done if isinstance(done, FlowResult) else _write_flows(folder, done)


class _Frames(NamedTuple):
    """Frames of a triplet whose flows are to be computed."""

    triplet: str
    frame1: RGBImage
    frame3: RGBImage


class _Flows(NamedTuple):
    """Flows of a triplet that are to be written."""

    triplet: str
    flows: tuple[Flow, Flow]


@dataclass
class _Computer:
    """Computes flows; callable and picklable, so that workers can."""

    settings: FlowSettings
    load: Callable[[], Interpolator]

    @cached_property
    def interpolator(self) -> Interpolator:
        """The interpolator, loaded once in every worker."""
        return self.load()

    def __call__(self, task: _Frames | FlowResult) -> _Flows | FlowResult:
        """Compute the flows of a triplet, unless it is done with."""
        if isinstance(task, FlowResult):
            return task
        try:
            return _Flows(task.triplet, compute_flows(task.frame1, task.frame3, self.settings, self.interpolator))
        except FrameError as error:
            return FlowResult(task.triplet, fault=str(error))


def _read_task(folder: Path, files: TripletFiles) -> _Frames | FlowResult:
    """Read the frames of a triplet, unless its flows exist or it cannot be read."""
    if os.path.lexists(folder / files.name):
        return FlowResult(files.name)
    try:
        triplet = read_triplet(files)
    except (FileError, FrameError) as error:
        return FlowResult(files.name, fault=str(error))
    return _Frames(files.name, triplet.frame0, triplet.frame1)


def _write_flows(folder: Path, done: _Flows) -> FlowResult:
    """Write the flows of a triplet."""
    with atomic_folder(folder / done.triplet) as part:
        for name, flow in zip(FLOW_NAMES, done.flows, strict=True):
            content = io.BytesIO()
            np.save(content, flow)
            write_bytes(part / name, content.getbuffer())
    return FlowResult(done.triplet, written=True)


@lru_cache(maxsize=1)
def _interpolator(settings: FlowSettings) -> Interpolator:
    return load_interpolator("classical", "cpu", vgg=settings.vgg, options=Options(style=settings.style))
