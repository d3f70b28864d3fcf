"""Find the crops where a model's drawings look worst, ranked by LPIPS.

The LPIPS of a crop is the mean over it of the frame's LPIPS map (`LpipsMetric.map`), which depends on the surroundings
of the crop too; all crops of a frame cost one pass. Without LPIPS, crops are ranked by squared error. Crops of a frame
do not overlap. Frames too small for LPIPS are skipped, as the two measures cannot be ranked together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.atd12k import Region, TripletFiles, read_triplet
from animeinterp.errors import FileError, FrameError
from animeinterp.evaluation.evaluate import Fault
from animeinterp.evaluation.predictions import FindFrame, read_drawn
from animeinterp.frame import RGBImage
from animeinterp.runtime.threads import single_threaded_workers

# Drawn and true frame → errors (H, W); None if the frame is too small.
ErrorMap = Callable[[RGBImage, RGBImage], NDArray[np.float32] | None]

SIDE = 192  # px, of a crop; less if the frame is smaller
MAX_PER_TRIPLET = 2  # so that one bad triplet does not fill the page
_STRIDE = 8  # px between candidate positions
_MIN_ERROR = 1e-9  # smaller means are rounding errors of the float sums


@dataclass(frozen=True, slots=True)
class Crop:
    """A crop of a triplet.

    Attributes:
        files: The triplet.
        window: Position and size of the crop, px.
        error: Mean of the error map over the crop.
    """

    files: TripletFiles
    window: Region
    error: float


def squared_error(drawn: RGBImage, true: RGBImage) -> NDArray[np.float32]:
    """Compute the squared error of each pixel on the scale [0, 1], mean over colors.

    Args:
        drawn: uint8 (H, W, 3) RGB.
        true: Of the same shape.

    Returns:
        float32 (H, W).
    """
    difference = (drawn.astype(np.float32) - true) / 255
    return np.asarray(np.square(difference).mean(axis=2), np.float32)


def find_worst_windows(
    errors: NDArray[np.float32], side: int = SIDE, count: int = MAX_PER_TRIPLET
) -> list[tuple[float, Region]]:
    """Find the windows with the largest mean errors, without overlap.

    Args:
        errors: Error map, (H, W).
        side: Height and width of a window, px; less if the map is smaller.
        count: Maximum number of windows.

    Returns:
        Mean error and window, worst first; no window without error.
    """
    height, width = errors.shape
    rows, columns = min(side, height), min(side, width)
    sums = np.pad(errors.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    ys, xs = _positions(height - rows), _positions(width - columns)
    corners = [sums[np.ix_(ys + dy, xs + dx)] for dy in (0, rows) for dx in (0, columns)]
    means = (corners[0] - corners[1] - corners[2] + corners[3]) / (rows * columns)
    windows: list[tuple[float, Region]] = []
    while len(windows) < count and (mean := float(means.max())) > _MIN_ERROR:
        y, x = (int(index) for index in np.unravel_index(means.argmax(), means.shape))
        windows.append((mean, Region(int(xs[x]), int(ys[y]), columns, rows)))
        overlapping = np.ix_(np.abs(ys - ys[y]) < rows, np.abs(xs - xs[x]) < columns)
        means[overlapping] = 0
    return windows


def find_crops(
    files: Sequence[TripletFiles], model: str, find_frame: FindFrame, error_map: ErrorMap, count: int, workers: int = 1
) -> tuple[list[Crop], list[Fault]]:
    """Find the worst crops of a model over a data set.

    Args:
        files: The triplets.
        model: Name of the model.
        find_frame: Returns the file of a drawn frame.
        error_map: Errors to rank by, such as `LpipsMetric.map` or `squared_error`.
        count: Maximum number of crops.
        workers: Number of threads.

    Returns:
        The crops, worst first, and the triplets that were skipped.
    """
    find = partial(_find_in_triplet, model=model, find_frame=find_frame, error_map=error_map)
    with single_threaded_workers() as initializer:
        pool = ThreadPoolExecutor(workers, initializer=initializer)
        try:
            results = list(pool.map(find, files))
        finally:
            pool.shutdown(cancel_futures=True)
    crops = [crop for result in results if not isinstance(result, Fault) for crop in result]
    crops.sort(key=lambda crop: -crop.error)  # stable: equal ones stay in the set's order
    return crops[:count], [result for result in results if isinstance(result, Fault)]


def _find_in_triplet(files: TripletFiles, model: str, find_frame: FindFrame, error_map: ErrorMap) -> list[Crop] | Fault:
    """Find the worst crops of a triplet."""
    try:
        truth = read_triplet(files).truth
        errors = error_map(read_drawn(find_frame(model, files.name), truth.shape), truth)
    except (FileError, FrameError) as error:
        return Fault(files.name, str(error))
    if errors is None:
        return Fault(files.name, f"{truth.shape[1]}x{truth.shape[0]} px is too small for LPIPS")
    return [Crop(files, window, mean) for mean, window in find_worst_windows(errors)]


def _positions(last: int) -> NDArray[np.intp]:
    """Return the candidate offsets from 0 to `last`, both included."""
    return np.append(np.arange(0, last, _STRIDE), last)
