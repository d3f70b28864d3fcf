"""Guidance flows on disk, as ATD-12K ships them (system §1d): what segment-guided matching says of each triplet.

    SET_pre_calc_sgm_flows/NAME/guide_flo13.npy     from frame 1 to frame 3
    SET_pre_calc_sgm_flows/NAME/guide_flo31.npy     from frame 3 to frame 1
    SET_pre_calc_sgm_flows.json                     the settings they were made with

Each is float32 (2, h, w), x first, px of that size, 0 where nothing is known. Frames of more than 960x540 pixels are
matched, and their flows kept, at about that size; readers rescale, as the published one does. Deviation: the published
ones are float64 (numpy's default) of exactly 960x540.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.data.atd12k import FLOW_NAMES, TripletFiles, read_triplet
from animeinterp.data.flow_settings import FlowSettings, check_settings
from animeinterp.errors import FileError, FrameError
from animeinterp.interpolator import Interpolator, load_interpolator
from animeinterp.io.files import atomic_folder, check_name, lock_folder, make_folder, write_bytes
from animeinterp.runtime.threads import single_threaded_workers
from animeinterp.segment_matching import match_segments


@dataclass(frozen=True, slots=True)
class FlowResult:
    """What became of a triplet: written, there before (neither), or skipped for a reason."""

    triplet: str
    written: bool = False
    fault: str = ""


def compute_flows(
    frame1: NDArray[np.uint8], frame3: NDArray[np.uint8], settings: FlowSettings
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The flows from frame 1 to frame 3 and back, as the files hold them. uint8 (H, W, 3) RGB.

    Meant to be called while OpenCV works in one thread: DIS flow depends on their number. Raises FrameError.
    """
    interpolator = _interpolator(settings)
    first = interpolator.analyze(frame1)
    third = interpolator.analyze(frame3, first.segments.style)  # segments of another style would not match
    matches = match_segments(first, third, settings.deformation)
    return matches.coarse01.flow, matches.coarse10.flow


def write_flows(
    files: Sequence[TripletFiles], folder: Path, settings: FlowSettings | None = None, *, workers: int = 1
) -> Iterator[FlowResult]:
    """Write the flows of triplets into `folder`; those that are there stay. Yields each triplet, in order.

    workers: triplets at once, a core each, with the same result. Triplets that cannot be read are told of and skipped.
    Raises UsageError for a folder with flows of other settings, FileError if it cannot be written.
    """
    settings = settings or FlowSettings()
    for one in files:
        check_name(one.name, "the data set")
    check_settings(folder, settings, write=True)
    make_folder(folder)
    write = partial(_write_flows, folder, settings)
    with lock_folder(folder), single_threaded_workers() as initializer:
        _interpolator(settings)
        # Threads will do: nearly all the time the interpreter's lock is free.
        pool = ThreadPoolExecutor(workers, initializer=initializer)
        try:
            yield from pool.map(write, files)
        finally:
            pool.shutdown(cancel_futures=True)


def _write_flows(folder: Path, settings: FlowSettings, files: TripletFiles) -> FlowResult:
    target = folder / files.name
    if os.path.lexists(target):
        return FlowResult(files.name)
    try:
        triplet = read_triplet(files)
        flows = compute_flows(triplet.frame0, triplet.frame1, settings)
    except (FileError, FrameError) as error:
        return FlowResult(files.name, fault=str(error))
    with atomic_folder(target) as part:
        for name, flow in zip(FLOW_NAMES, flows, strict=True):
            content = io.BytesIO()
            np.save(content, flow)
            write_bytes(part / name, content.getbuffer())
    return FlowResult(files.name, written=True)


@lru_cache(maxsize=1)
def _interpolator(settings: FlowSettings) -> Interpolator:
    return load_interpolator("classical", "cpu", vgg=settings.vgg, options=Options(style=settings.style))
