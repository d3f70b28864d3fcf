"""Labels for training crops: a model draws the frame between the end frames exactly at known times (distillation).

The true middle frame of drawn animation is at a time that the animator chose, and that can only be estimated. A label
is at exactly the time it was drawn for, and one triplet gives several of them. Labels cannot be better than the model
that draws them: crops in which it is clearly wrong are dropped, measured by the true middle frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.crop_store import Arrays
from animeinterp.data.types import Triplet
from animeinterp.interpolator import Interpolator
from animeinterp.loading import load_interpolator
from animeinterp.metrics.image import psnr

FIRST_TIME, LAST_TIME = 0.1, 0.9  # nearer to an end frame there is little to learn


@dataclass(frozen=True, slots=True)
class Labels:
    """How crops are labeled.

    Attributes:
        model: The preset that draws the labels, see `load_interpolator`.
        times: Number of labels per crop, each at another time.
        min_psnr: A crop is dropped if none of its labels comes this near to the true middle frame, dB. It is low,
            because the label nearest in time may be off by half the distance of two times. Chosen, together with the
            comparison with the cross-fade, on 36 crops of vector animation that `studio` labeled: both drop 9, among
            them the 4 whose motion is clearly wrong.
        load: Loads the model; None loads it by its name.
    """

    model: str
    times: int = 3
    min_psnr: float = 17.0
    load: Callable[[], Interpolator] | None = None


@lru_cache(maxsize=1)
def load_labeler(labels: Labels) -> Interpolator:
    """Load the model that draws the labels, once per process; it runs on the CPU. Raises as `load_interpolator`."""
    return load_interpolator(labels.model, "cpu") if labels.load is None else labels.load()


def label_crops(
    crops: Sequence[Arrays],
    corners: Sequence[tuple[int, int]],
    triplet: Triplet,
    labels: Labels,
    rng: np.random.Generator,
) -> list[Arrays]:
    """Replace the true frame of crops by labels.

    The labels are drawn from the whole frames, as at inference, and cropped.

    Args:
        crops: Crops of one triplet, each with `frames` and `t` as in a shard, without the first axis.
        corners: Their upper left corners (x, y), px.
        triplet: What they were cut from.
        labels: How they are labeled.
        rng: Chooses the times.

    Returns:
        For each crop that is not dropped `labels.times` copies, in order of their times: `frames` with the label in
        place of the true frame, and `t` its time.
    """
    if not crops:
        return []
    labeler = load_labeler(labels)
    motion = labeler.motion(labeler.analyze(triplet.frame0), labeler.analyze(triplet.frame1))
    times = choose_times(labels.times, rng)
    drawn = [labeler.render(motion, float(t)).transpose(2, 0, 1) for t in times]
    labeled: list[Arrays] = []
    for crop, (x, y) in zip(crops, corners, strict=True):
        frame0, _, frame1 = crop["frames"]
        height, width = frame0.shape[1:]
        parts = [image[:, y : y + height, x : x + width] for image in drawn]
        if _is_plausible(parts, crop["frames"], labels.min_psnr):
            labeled += [
                crop | {"frames": np.stack([frame0, part, frame1]), "t": np.array(t, np.float32)}
                for part, t in zip(parts, times, strict=True)
            ]
    return labeled


def choose_times(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Divide the times from 0.1 to 0.9 into `count` equal parts, and choose one time at random in each.

    Args:
        count: At least 1.
        rng: Chooses.

    Returns:
        float32 (count,), increasing.
    """
    part = (LAST_TIME - FIRST_TIME) / count
    return (FIRST_TIME + part * (np.arange(count) + rng.random(count))).astype(np.float32)


def _is_plausible(drawn: Sequence[NDArray[np.uint8]], frames: NDArray[np.uint8], min_psnr: float) -> bool:
    """Return whether a drawing is near to the true middle frame, and nearer than the cross-fade of the end frames."""
    frame0, truth, frame1 = frames
    best = max(psnr(image, truth) for image in drawn)
    faded = np.asarray(cv2.addWeighted(frame0, 0.5, frame1, 0.5, 0), np.uint8)
    return best >= max(min_psnr, psnr(faded, truth))
