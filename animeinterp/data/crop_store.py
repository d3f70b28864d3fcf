"""Reads training crops (see `animeinterp.data.crops`) as batches, in an order that depends only on a seed and a step.

Each sample is a random part of a crop, augmented: flipped, transposed, reversed in time, recolored, and sometimes with
noise or JPEG artifacts in frames 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from animeinterp.data.types import Batch
from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import check_source
from animeinterp.io.reading import describe_error

Arrays = dict[str, NDArray[Any]]

NOISY_FRACTION = 0.1  # of the samples
_FLOWS = ("coarse", "flow")
_OPTIONAL = ("flow", "known")  # missing in older stores
# Type of each array of a shard, and its axes between the first and the last two.
_LAYOUT: dict[str, tuple[str, tuple[int, ...]]] = {
    "frames": ("U8", (3, 3)),
    "t": ("F32", ()),
    "coarse": ("F16", (2, 2)),
    "trust": ("U8", (2,)),
    "flow": ("F16", (2, 2)),
    "known": ("U8", (2,)),
}


class CropStore:
    """The crops of a folder.

    The list of shards is fixed when the store is opened; shards written later are ignored.
    """

    def __init__(self, folder: Path | str) -> None:
        """Open a store. Raises FileError for a folder without shards or with a damaged shard."""
        paths = sorted(Path(folder).glob("*.safetensors"))
        if not paths:
            raise FileError(f"expected training crops (NNNNN.safetensors) in {folder}, found none; write them first")
        self._shards = [_open_shard(path) for path in paths]
        counts = [shard.get_slice("t").get_shape()[0] for shard in self._shards]
        self._ends = np.cumsum(counts)
        self._order: tuple[tuple[int, int], NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        """Return the number of crops."""
        return int(self._ends[-1])

    def batches(
        self, batch_size: int, size: int = 256, seed: int = 0, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """Yield the batches of step `start` and all later steps; arguments and errors as `batch`."""
        while True:
            yield self.batch(start, batch_size, size, seed, rank=rank, world=world)
            start += 1

    def batch(
        self, step: int, batch_size: int, size: int = 256, seed: int = 0, *, rank: int = 0, world: int = 1
    ) -> Batch:
        """Return the batch of a step; safe to call from several threads and processes.

        Every crop occurs once per epoch.

        Args:
            step: Number of the step, from 0.
            batch_size: Samples per step and process.
            size: Side of a sample, px.
            seed: Determines order and augmentation.
            rank: Number of this process; the batches of different ranks share no crop.
            world: Number of processes.

        Returns:
            The batch.

        Raises:
            UsageError: The crops are smaller than `size`.
        """
        first = (step * world + rank) * batch_size
        samples = []
        for position in range(first, first + batch_size):
            epoch, index = divmod(position, len(self))
            rng = np.random.default_rng([seed, 1, position])
            samples.append(_augment(self._read_crop(int(self._epoch_order(seed, epoch)[index]), size, rng), rng))
        return stack_samples(samples)

    def _epoch_order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        order = self._order
        if order is None or order[0] != (seed, epoch):
            order = (seed, epoch), np.random.default_rng([seed, 0, epoch]).permutation(len(self))
            self._order = order
        return order[1]

    def _read_crop(self, index: int, size: int, rng: np.random.Generator) -> Arrays:
        """Read a random part of a crop, size x size px, and nothing else."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        shard = self._shards[number]
        row = index - (int(self._ends[number - 1]) if number else 0)
        height, width = shard.get_slice("frames").get_shape()[-2:]
        if size > min(height, width):
            raise UsageError(f"expected a size of at most the crops' {width}x{height}, got {size}; write larger crops")
        y, x = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
        crop: Arrays = {"t": shard.get_slice("t")[row : row + 1][0]}
        for name in (name for name, (_, axes) in _LAYOUT.items() if axes):
            if name in shard.keys():  # noqa: SIM118
                planes = shard.get_slice(name)
                between = (slice(None),) * (len(planes.get_shape()) - 3)
                crop[name] = planes[(slice(row, row + 1), *between, slice(y, y + size), slice(x, x + size))][0]
        return crop


def to_sample(crop: Arrays, frames: NDArray[np.float32]) -> Arrays:
    """Convert a crop to a sample.

    Args:
        crop: The arrays of one crop, without the first axis.
        frames: float32 (3, 3, h, w) in [0, 1], in place of the crop's own: frame 0, the true frame, frame 1.

    Returns:
        float32 arrays, named as the fields of `Batch`.
    """
    size = frames.shape[-2:]
    confidence = crop["trust"][:, None].astype(np.float32) / 255
    coarse = np.asarray(crop["coarse"], np.float32)
    flow = np.asarray(crop.get("flow", np.zeros((2, 2, *size))), np.float32)
    known = crop.get("known", np.zeros((2, *size), np.uint8))[:, None].astype(np.float32)
    return {
        "frame0": frames[0], "truth": frames[1], "frame1": frames[2], "t": np.asarray(crop["t"], np.float32),
        "coarse01": coarse[0], "coarse10": coarse[1], "confidence0": confidence[0], "confidence1": confidence[1],
        "flow01": flow[0], "flow10": flow[1], "known0": known[0], "known1": known[1],
    }  # fmt: skip


def stack_samples(samples: Sequence[Arrays]) -> Batch:
    """Stack samples, whose arrays are named as the fields of `Batch`."""
    stacked = {name: np.stack([sample[name] for sample in samples]) for name in Batch._fields}
    return Batch(**{name: torch.from_numpy(array) for name, array in stacked.items()})


def _open_shard(path: Path) -> Any:
    """Open a shard and check its arrays. Raises FileError."""
    check_source(path, "a shard of training crops")
    try:
        shard: Any = safe_open(path, framework="numpy")
        arrays = {name: shard.get_slice(name) for name in shard.keys()}  # noqa: SIM118
        count, height, width = (arrays["frames"].get_shape()[axis] for axis in (0, -2, -1))
        wrong = [] if count else ["frames"]
        for name, (dtype, axes) in _LAYOUT.items():
            shape = [count, *axes, height, width] if axes else [count]
            fits = name in arrays and arrays[name].get_shape() == shape and arrays[name].get_dtype() == dtype
            if not fits and (name in arrays or name not in _OPTIONAL):
                wrong.append(name)
        if wrong:
            raise ValueError(f"{', '.join(wrong)} missing, empty, or of another type or shape")
    except (OSError, SafetensorError, KeyError, IndexError, ValueError, TypeError) as error:
        raise FileError(
            f"{path} is not a shard of training crops ({describe_error(error)}); delete it and write it again"
        ) from error
    return shard


def _augment(crop: Arrays, rng: np.random.Generator) -> Arrays:
    """Augment a crop at random, and convert it to a sample."""
    # Arithmetic on float16 is slow, and so is numpy's conversion of it.
    crop |= {name: torch.from_numpy(crop[name]).float().numpy() for name in _FLOWS if name in crop}
    crop = flip_crop(crop, *(bool(b) for b in rng.random(3) < 0.5))
    if rng.random() < 0.5:
        crop = reverse_crop(crop)
    frames = _recolor(crop["frames"][:, rng.permutation(3)], rng)
    if rng.random() < NOISY_FRACTION:
        frames[0], frames[2] = _add_noise(frames[0], frames[2], rng)
    return to_sample(crop, frames)


def flip_crop(crop: Arrays, mirror_x: bool, mirror_y: bool, transpose: bool) -> Arrays:
    """Mirror a crop in x, then in y, then exchange x and y; flow vectors change with it."""
    flipped = {}
    for name, array in crop.items():
        if array.ndim >= 2:
            array = array[..., ::-1] if mirror_x else array
            array = array[..., ::-1, :] if mirror_y else array
            array = array.swapaxes(-1, -2) if transpose else array
        if name in _FLOWS:
            sign = np.array([-1 if mirror_x else 1, -1 if mirror_y else 1], array.dtype)
            array = array * sign[:, None, None]
            array = array[:, ::-1] if transpose else array
        flipped[name] = array
    return flipped


def reverse_crop(crop: Arrays) -> Arrays:
    """Reverse a crop in time."""
    return {name: 1 - array if name == "t" else array[::-1] for name, array in crop.items()}


def _recolor(frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Apply one random hue, gamma and brightness to all frames: float32 (3, 3, h, w) in [0, 1]."""
    gamma = np.exp(rng.uniform(-0.35, 0.35)) if rng.random() < 0.5 else 1.0
    low, high = (rng.uniform(0, 0.15), rng.uniform(0.75, 1)) if rng.random() < 0.5 else (0.0, 1.0)
    levels = low + (high - low) * np.linspace(0, 1, 256) ** gamma
    colored = levels.astype(np.float32)[frames]
    if rng.random() < 0.3:
        # The hue: RGB rotated about gray.
        rotation, _ = cv2.Rodrigues(np.full(3, rng.uniform(-np.pi, np.pi) / np.sqrt(3)))
        colored = np.matmul(rotation.astype(np.float32), colored.reshape(3, 3, -1)).reshape(colored.shape)
    return np.ascontiguousarray(np.clip(colored, 0, 1, dtype=np.float32))


def _add_noise(
    frame0: NDArray[np.float32], frame1: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add grain or JPEG artifacts to both frames."""
    if rng.random() < 0.5:
        sigma = rng.uniform(1, 6) / 255
        grain = (rng.standard_normal(frame0.shape, np.float32) * np.float32(sigma) for _ in range(2))
        first, second = (np.clip(f + g, 0, 1) for f, g in zip((frame0, frame1), grain, strict=True))
        return first, second
    quality = int(rng.integers(50, 96))
    return _compress_jpeg(frame0, quality), _compress_jpeg(frame1, quality)


def _compress_jpeg(frame: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    bgr = np.rint(255 * frame[::-1].transpose(1, 2, 0)).astype(np.uint8)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32).transpose(2, 0, 1)[::-1]
    return np.ascontiguousarray(decoded / np.float32(255))
