"""Register scans by their background, whatever moves before it.

SIFT features (Lowe 2004), at most a few per cell of a grid, are matched within the largest shift, and rigid motions
that many of them share are found one after the other by RANSAC (Fischler & Bolles 1981). The motion after which the
most cells along the border of the frame agree is that of the background; a figure moves features too, but seldom so
many of the border and on three of its sides. Where features do not tell, as with the edges of a sheet, the border
itself is registered by its correlation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.keys.rigid_motion import SHEET_LIMITS, Matrix, Points, fit_rigid, is_sheet_motion


@dataclass(frozen=True, slots=True)
class BackgroundLimits:
    """Parameters of the registration by the background.

    Chosen on simulated scans, see `animeinterp.keys.align`. Levels are 255ths of the range.

    Attributes:
        scale: Largest relative change of size of a motion that counts as rigid.
        cells: Columns and rows of the grid.
        features: Features per cell, at most.
        contrast: Contrast threshold of SIFT; low, for the texture of paper.
        ratio: Largest ratio of the distances of the best and of the second match.
        reprojection: Largest distance of a feature that shares a motion, px at working size.
        motions: Motions that are tried.
        inliers: Features that share a motion, at least.
        ecc_band: Depth of the border that is registered by itself, as a fraction of the shorter side.
        detail_sigmas: Standard deviations of the blurs between which detail lies, px at working size.
        min_detail: Standard deviation of the detail of a cell, at least, levels.
        correlation: Correlation of the detail of a cell in both frames after registration, at least.
        border_cells: Cells along the border that must agree, at least …
        border_share: … and fraction of those with detail in either frame.
        side_cells: Agreeing cells on a side that counts.
        sides: Sides that count, at least.
    """

    scale: float = 0.01
    cells: tuple[int, int] = (16, 9)
    features: int = 12
    contrast: float = 0.01
    ratio: float = 0.85
    reprojection: float = 1.5
    motions: int = 4
    inliers: int = 12
    ecc_band: float = 0.14
    detail_sigmas: tuple[float, float] = (1.0, 6.0)
    min_detail: float = 0.6
    correlation: float = 0.6
    border_cells: int = 6
    border_share: float = 0.25
    side_cells: int = 2
    sides: int = 3


BACKGROUND_LIMITS = BackgroundLimits()


def register_background(
    gray0: NDArray[np.uint8], gray1: NDArray[np.uint8], limits: BackgroundLimits = BACKGROUND_LIMITS
) -> Matrix | None:
    """Register two frames by the motion that the most of their border shares; None if there is none."""
    motions = [np.eye(2, 3), *_shared_motions(gray0, gray1, limits)]
    by_border = _register_border(gray0, gray1, limits)
    if by_border is not None:
        motions.append(by_border)
    motions = [matrix for matrix in motions if is_sheet_motion(matrix, gray0.shape)]
    counts = [_count_border_cells(gray0, gray1, matrix, limits) for matrix in motions]
    best = int(np.argmax(counts))
    return motions[best] if counts[best] else None


def _shared_motions(gray0: NDArray[np.uint8], gray1: NDArray[np.uint8], limits: BackgroundLimits) -> list[Matrix]:
    """Find the rigid motions that many features share, one after the other."""
    points0, points1 = _match_features(gray0, gray1, limits)
    motions = []
    for _ in range(limits.motions):
        if len(points0) < limits.inliers:
            break
        similarity, kept = cv2.estimateAffinePartial2D(
            points0, points1, method=cv2.RANSAC, ransacReprojThreshold=limits.reprojection, maxIters=5000
        )
        inlier = np.asarray(kept).ravel().astype(bool)
        if similarity is None or inlier.sum() < limits.inliers:
            break
        if abs(math.hypot(similarity[0, 0], similarity[1, 0]) - 1) <= limits.scale:
            motions.append(fit_rigid(points0[inlier], points1[inlier]))
        points0, points1 = points0[~inlier], points1[~inlier]
    return motions


def _register_border(gray0: NDArray[np.uint8], gray1: NDArray[np.uint8], limits: BackgroundLimits) -> Matrix | None:
    """Register the border alone by its correlation (ECC, Evangelidis & Psarakis 2008), for edges without corners."""
    height, width = gray0.shape
    matrix = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    for scale in (8, 4, 2, 1):
        size = width // scale, height // scale
        images = [cv2.resize(gray, size, interpolation=cv2.INTER_AREA) for gray in (gray0, gray1)]
        band = max(8, round(limits.ecc_band * min(size)))
        mask = np.full(size[::-1], 255, np.uint8)
        mask[band:-band, band:-band] = 0
        matrix[:, 2] /= scale
        try:
            _, found = cv2.findTransformECC(images[0], images[1], matrix, cv2.MOTION_EUCLIDEAN, stop, mask, 5)
        except cv2.error:  # it does not converge: there is nothing to correlate
            return None
        matrix = np.asarray(found, np.float32)
        matrix[:, 2] *= scale
    return matrix.astype(np.float64)


def _count_border_cells(
    gray0: NDArray[np.uint8], gray1: NDArray[np.uint8], matrix: Matrix, limits: BackgroundLimits
) -> int:
    """Count the cells along the border whose detail correlates after a motion; 0 for too few, or on too few sides."""
    columns, rows = limits.cells
    height, width = gray0.shape
    details = []
    for gray in (gray0, gray1):
        values = gray.astype(np.float32)
        # Without what is smooth, which correlates at any position, and without noise, which does at none.
        fine, smooth = (cv2.GaussianBlur(values, (0, 0), sigma) for sigma in limits.detail_sigmas)
        details.append(np.asarray(fine - smooth, np.float32))
    backward = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    details[1] = np.asarray(cv2.warpAffine(details[1], matrix, (width, height), flags=backward), np.float32)
    inside = cv2.warpAffine(np.ones_like(details[0]), matrix, (width, height), flags=backward) > 0.999

    def cell_means(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(values * inside, (columns, rows), interpolation=cv2.INTER_AREA))

    powers = [cell_means(detail * detail) for detail in details]
    strength = np.sqrt(powers[0] * powers[1])
    alike = cell_means(details[0] * details[1]) > limits.correlation * strength
    alike &= strength > limits.min_detail**2
    detailed = np.maximum(powers[0], powers[1]) > limits.min_detail**2
    sides = sum(side.sum() >= limits.side_cells for side in (alike[0], alike[-1], alike[:, 0], alike[:, -1]))
    count, of = (int(cells.sum() - cells[1:-1, 1:-1].sum()) for cells in (alike, detailed))
    enough = count >= max(limits.border_cells, limits.border_share * of)
    return count if sides >= limits.sides and enough else 0


def _cells_of(points: Points, shape: tuple[int, ...], limits: BackgroundLimits) -> NDArray[np.int64]:
    """Return the column and row of the cell of each point, (N, 2)."""
    cells = np.array(limits.cells)
    return np.asarray(np.clip((points * cells / np.array(shape[1::-1])).astype(np.int64), 0, cells - 1))


@dataclass(slots=True)
class _Features:
    """SIFT features of a frame: points (N, 2) and the square roots of normalized descriptors (N, 128)."""

    points: Points = field(default_factory=lambda: np.zeros((0, 2)))
    descriptors: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 128), np.float32))


def _find_features(gray: NDArray[np.uint8], limits: BackgroundLimits) -> _Features:
    """Find the strongest features of each cell, so that no part of the frame outvotes the others by its detail."""
    sift = cv2.SIFT.create(contrastThreshold=limits.contrast)
    found = sorted(sift.detect(gray, None), key=lambda k: (-k.response, k.pt, k.angle))
    if not found:
        return _Features()
    cells = _cells_of(np.array([k.pt for k in found]), gray.shape, limits)
    taken: dict[tuple[int, int], int] = {}
    kept = []
    for key, (column, row) in zip(found, cells.tolist(), strict=True):
        taken[column, row] = taken.get((column, row), 0) + 1
        if taken[column, row] <= limits.features:
            kept.append(key)
    chosen, descriptors = sift.compute(gray, kept)
    # Hellinger distance (Arandjelović & Zisserman 2012).
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
    return _Features(np.array([k.pt for k in chosen], np.float64), roots.astype(np.float32))


def _match_features(
    gray0: NDArray[np.uint8], gray1: NDArray[np.uint8], limits: BackgroundLimits
) -> tuple[Points, Points]:
    """Match features that are each other's best within the largest displacement; points of both frames."""
    first, second = _find_features(gray0, limits), _find_features(gray1, limits)
    if not (len(first.points) and len(second.points)):
        return first.points[:0], second.points[:0]
    height, width = gray0.shape
    reach = SHEET_LIMITS.shift * width + math.radians(SHEET_LIMITS.degrees) * math.hypot(width, height) / 2
    apart = np.linalg.norm(first.points[:, None] - second.points, axis=2)
    distance = np.sqrt(np.maximum(2 - 2 * first.descriptors @ second.descriptors.T, 0))
    distance[apart > reach] = np.inf
    rows = np.arange(len(first.points))
    best = distance.argmin(axis=1)
    smallest = distance[rows, best]
    # A second feature at the place of the best, of another scale or angle, is no rival.
    rivals = np.where(np.linalg.norm(second.points[best][:, None] - second.points, axis=2) > 4, distance, np.inf)
    mutual = distance.argmin(axis=0)[best] == rows
    matched = mutual & np.isfinite(smallest) & (smallest < limits.ratio * rivals.min(axis=1))
    return first.points[matched], second.points[best[matched]]
