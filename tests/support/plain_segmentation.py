"""The segmentation method restated plainly: whole-frame scans, one seed, one segment, one pixel at a time.

Slow on purpose. It is what the fast code in `animeinterp.sgm` is judged by, and follows the published method
in every detail and fault, but for the frames where that crashes (no edge at all, no region for the first
ball, a single fill that covers the frame): there it does what the docstrings of the fast code promise.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

BEFORE = ((-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1))  # (dx, dy): W, NW, N, ... SW


def line_map(frame, bilateral, low, high):
    """Fillable 255, line 0; frame (H, W, 3) uint8 in either channel order."""
    smooth = cv2.bilateralFilter(frame, *bilateral)
    response = cv2.Laplacian(smooth, cv2.CV_32F, ksize=5)
    if response.max() <= 0:
        return np.full(frame.shape[:2], 255, np.uint8)
    response = response * (np.float32(255) / response.max())
    weak, _ = ndimage.label(response > min(low, high))
    strong = np.unique(weak[response > high])
    response[~np.isin(weak, strong[strong > 0])] = 0
    drawn = np.clip(255 - (response * 20).max(axis=2), 0, 255).astype(np.uint8)
    return np.where(drawn > 220, 255, 0).astype(np.uint8)


def component_at(mask, seed):
    """The 4-connected component of a boolean mask that holds the pixel `seed` (y, x)."""
    image = mask.astype(np.uint8)
    cv2.floodFill(image, None, (int(seed[1]), int(seed[0])), 2, flags=4)
    return image == 2


def eroded(mask, ball):
    """Pixels whose ball lies in the mask; outside the frame everything is free."""
    return cv2.erode(mask.astype(np.uint8), ball) > 0


def dilated(mask, ball):
    """Pixels reached by a ball on the mask."""
    return cv2.dilate(mask.astype(np.uint8), ball) > 0


def fills_of_ball(free, radius, limit=1000):
    """All fills of one ball, in the order made: a list of masks. Radius 0 is the plain flood fill."""
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    free = free.copy()
    fills = []
    while len(fills) < limit:
        seeds = np.argwhere(eroded(free, ball))
        if len(seeds) == 0:
            break
        seed = tuple(seeds[0])
        reachable = component_at(free, seed)
        fill = dilated(component_at(eroded(reachable, ball), seed), ball)
        fills.append(fill)
        free &= ~fill
    return fills


def trapped_ball_fill(fillable, ball_limit=1000, flood_limit=20000):
    """Fill map of a line map, 0 = line."""
    free = fillable == 255
    fills = []
    for radius, limit in ((3, ball_limit), (2, ball_limit), (1, ball_limit), (0, flood_limit)):
        made = fills_of_ball(free, radius, limit)
        if radius == 3:
            largest = max((fill.sum() for fill in made), default=0)
            made = [fill for fill in made if fill.sum() == largest]
        for fill in made:
            free &= ~fill
        fills += made
    result = np.zeros(fillable.shape, np.int32)
    for number, fill in enumerate(fills, 1):
        result[fill] = number
    return result


def histogram(mask, bgr):
    """Three 25-bin histograms between the extremes of each channel, together of sum 1."""
    counts = np.concatenate([np.histogram(bgr[mask][:, channel], 25)[0] for channel in range(3)]).astype(float)
    return counts / counts.sum()


def first_contour_is_point(mask):
    """Whether the first outer contour, simplified to 2 % of its length, is a single point."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return len(cv2.approxPolyDP(contours[0], 0.02 * cv2.arcLength(contours[0], True), True)) == 1


def merge_small_segments(fills, frame, passes=10):
    """Label map after merging; frame (H, W, 3) RGB."""
    bgr = frame[:, :, ::-1]
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    result = fills.copy()
    for _ in range(passes):
        at_start = result.copy()
        segments = np.unique(at_start)
        histograms = {segment: histogram(at_start == segment, bgr) for segment in segments}
        for segment in segments[segments > 0]:
            mask = at_start == segment
            area = mask.sum()
            if area >= 500:
                continue
            rim = dilated(mask, cross) & ~mask
            neighbors, shared = np.unique(result[rim], return_counts=True)
            shared, neighbors = shared[neighbors > 0], neighbors[neighbors > 0]
            scores = [np.sum(np.minimum(histograms[segment], histograms[neighbor])) for neighbor in neighbors]
            last_score = scores[-1] if scores else -1
            best = int(np.argmax(scores)) if scores else None
            contact = shared[best] if scores else -1
            target = neighbors[best] if scores else (0 if area < 5 else segment)
            if (
                area == 1
                or first_contour_is_point(mask)
                or (area < 300 and len(neighbors) == 1)
                or (area < 500 and len(neighbors) == 1 and contact > 2)
                or area < 50
                or (last_score > 0.2 and area < 150 and contact > 1)
                or (last_score > 0.25 and area < 250 and contact > 8)
            ):
                result[mask] = target
        if len(np.unique(result)) == len(segments):
            break
    return result


def thin_lines(fills, layers=100):
    """Label map with line pixels given to their neighbors, one layer at a time."""
    height, width = fills.shape
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    result = fills.copy()
    for _ in range(layers):
        before = result.copy()
        for y, x in np.argwhere(dilated(before != 0, cross) & (before == 0)):
            for dx, dy in BEFORE:
                # The published tests are "> 0" to the left and above, "< size" to the right and below.
                inside = (dx >= 0 or x + dx > 0) and (dy >= 0 or y + dy > 0) and x + dx < width and y + dy < height
                if inside and before[y + dy, x + dx] != 0:
                    result[y, x] = before[y + dy, x + dx]
                    break
        if (result == before).all():
            break
    return result


def relabel_by_area(labels):
    """Labels numbered by area, the smallest 0."""
    values, counts = np.unique(labels, return_counts=True)
    result = np.empty_like(labels)
    for rank, index in enumerate(np.argsort(counts)):
        result[labels == values[index]] = rank
    return result


def label_map(frame, bilateral, low, high):
    """All steps: frame (H, W, 3) uint8 RGB to labels (H, W) int32."""
    fills = trapped_ball_fill(line_map(frame, bilateral, low, high))
    return relabel_by_area(thin_lines(merge_small_segments(fills, frame)))
