"""An interpolator that keeps the contract of the real one and costs nothing: it blends.

Tests of what surrounds the core use it, so that they stay quick and fail for their own reasons only.
"""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np

from animeinterp.config import Options
from animeinterp.frame import check_frame, check_pair, from_planes, rgb8, to_planes


class FlatPieces:
    """What the sheet looks at of `Segments`: one segment per color."""

    def __init__(self, labels, fillable):
        self.labels, self.fillable = labels, fillable

    def __len__(self):
        return int(self.labels.max()) + 1


class Blender:
    options, device = Options(), SimpleNamespace(type="cpu")

    def with_options(self, options):
        return self

    def analyze(self, frame):
        check_frame(frame, 40_000_000)
        colors = rgb8(frame).reshape(-1, 3).astype(np.int32) // 32 @ (64, 8, 1)
        labels = np.unique(colors, return_inverse=True)[1].reshape(frame.shape[:2]).astype(np.int32)
        fillable = np.where(cv2.Canny(rgb8(frame), 50, 150) > 0, 0, 255).astype(np.uint8)
        segments = FlatPieces(labels, fillable)
        seconds = {"contours": 0.012, "segments": 0.034, "descriptors": 0.005}
        return SimpleNamespace(frame=frame, segments=segments, descriptors=None, seconds=seconds, is_line_drawing=False)

    def motion(self, a0, a1, hints=None):
        check_pair(a0.frame, a1.frame)
        height, width = a0.frame.shape[:2]
        y, x = np.indices((height, width), np.float32)
        flow = np.stack([(x - width / 2) / 8, (y - height / 2) / 8])
        match = np.arange(len(a0.segments))
        match[(match % 3 == 0) | (match >= len(a1.segments))] = -1
        return SimpleNamespace(
            analysis0=a0,
            analysis1=a1,
            match01=match,
            coarse01=np.round(flow / 4) * 4,
            coarse10=-np.round(flow / 4) * 4,
            flow01=flow,
            flow10=-flow,
            importance0=np.clip(x / width, 0, 1),
            importance1=np.clip(y / height, 0, 1),
            seconds={"matching": 0.002, "coarse flow": 0.041, "refined flow": 0.123},
            inner=None,
            hinted=None,
        )

    def render(self, motion, t):
        frame0, frame1 = motion.analysis0.frame, motion.analysis1.frame
        return from_planes((1 - t) * to_planes(frame0) + t * to_planes(frame1), frame0)

    def confidence(self, motion, t):
        """A blend of pixels that differ by more than noise cannot be relied on."""
        difference = cv2.absdiff(rgb8(motion.analysis0.frame), rgb8(motion.analysis1.frame))
        return np.where(difference.max(2) > 32, 0, 1).astype(np.float32)

    def warped(self, motion, t):
        return motion.analysis0.frame, motion.analysis1.frame


def load_blender():
    """Load a `Blender`, in a worker process too."""
    return Blender()
