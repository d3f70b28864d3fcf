"""Where a model's drawings look worst: windows of a set's frames, ranked by LPIPS.

The LPIPS of a window is the mean over it of the frame's LPIPS map (`Perceived.map`): the network sees what surrounds
the window, and all windows of a frame cost one pass. Without LPIPS windows are ranked by squared error. Windows of a
frame do not overlap. Frames too small for LPIPS are left out, as the two measures cannot be ranked together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.atd12k import Region, TripletFiles, read_triplet
from animeinterp.errors import FileError, FrameError
from animeinterp.evaluation.evaluate import Fault
from animeinterp.evaluation.predictions import read_drawn
from animeinterp.frame import RGBImage
from animeinterp.runtime.threads import single_threaded_workers

Drawn = Callable[[str, str], Path | None]  # model and triplet → the frame that was drawn and scored, None if not kept
ErrorMap = Callable[[RGBImage, RGBImage], NDArray[np.float32] | None]  # drawn, true → (H, W), None if too small

SIDE = 192  # px, of a window, or as much as the frame has
PER_TRIPLET = 2  # so that one bad triplet does not fill the page
_STEP = 8  # px between the places that are tried
_NONE = 1e-9  # a mean that stands for no error: sums of floats leave crumbs


@dataclass(frozen=True, slots=True)
class Crop:
    """A window of a triplet. error: of the drawing in it, the mean of an error map."""

    files: TripletFiles
    window: Region
    error: float


def squared_error(drawn: RGBImage, true: RGBImage) -> NDArray[np.float32]:
    """Mean over colors of the squared error, on [0, 1]; float32 (H, W)."""
    difference = (drawn.astype(np.float32) - true) / 255
    return np.asarray(np.square(difference).mean(axis=2), np.float32)


def worst_windows(errors: NDArray[np.float32], side: int = SIDE, most: int = PER_TRIPLET) -> list[tuple[float, Region]]:
    """The windows of an error map (H, W) with the largest means, worst first; none overlap, none is without error.

    side: of a window, px; as much as there is where the map is smaller.
    """
    height, width = errors.shape
    rows, columns = min(side, height), min(side, width)
    sums = np.pad(errors.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    ys, xs = _places(height - rows), _places(width - columns)
    corners = [sums[np.ix_(ys + dy, xs + dx)] for dy in (0, rows) for dx in (0, columns)]
    means = (corners[0] - corners[1] - corners[2] + corners[3]) / (rows * columns)
    found: list[tuple[float, Region]] = []
    while len(found) < most and (mean := float(means.max())) > _NONE:
        y, x = (int(index) for index in np.unravel_index(means.argmax(), means.shape))
        found.append((mean, Region(int(xs[x]), int(ys[y]), columns, rows)))
        near = np.ix_(np.abs(ys - ys[y]) < rows, np.abs(xs - xs[x]) < columns)
        means[near] = 0
    return found


def find_crops(
    files: Sequence[TripletFiles], model: str, drawn: Drawn, error_map: ErrorMap, count: int, workers: int = 1
) -> tuple[list[Crop], list[Fault]]:
    """The `count` worst crops of a model over a set, worst first, and the triplets that could not be looked at.

    Args:
        files: the triplets.
        model: whose drawings are ranked.
        drawn: where they lie.
        error_map: what they are ranked by, such as `Perceived.map` or `squared_error`.
        count: how many are wanted; there may be fewer.
        workers: triplets that are looked at at once.
    """
    look = partial(_look, model=model, drawn=drawn, error_map=error_map)
    with single_threaded_workers() as initializer:
        pool = ThreadPoolExecutor(workers, initializer=initializer)
        try:
            results = list(pool.map(look, files))
        finally:
            pool.shutdown(cancel_futures=True)
    crops = [crop for result in results if not isinstance(result, Fault) for crop in result]
    crops.sort(key=lambda crop: -crop.error)  # stable: equal ones stay in the set's order
    return crops[:count], [result for result in results if isinstance(result, Fault)]


def _look(files: TripletFiles, model: str, drawn: Drawn, error_map: ErrorMap) -> list[Crop] | Fault:
    try:
        truth = read_triplet(files).truth
        errors = error_map(read_drawn(drawn(model, files.name), truth.shape), truth)
    except (FileError, FrameError) as error:
        return Fault(files.name, str(error))
    if errors is None:
        return Fault(files.name, f"{truth.shape[1]}x{truth.shape[0]} px are too few for LPIPS")
    return [Crop(files, window, mean) for mean, window in worst_windows(errors)]


def _places(room: int) -> NDArray[np.intp]:
    """Offsets from 0 to `room`, both included."""
    return np.append(np.arange(0, room, _STEP), room)
