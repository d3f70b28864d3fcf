"""Training crops on disk: cut once with what segment-guided matching says of them, read in any order after.

A store is a folder of shards, NNNNN.safetensors, each of N crops of h x w px:

    frames  uint8 (N, 3, 3, h, w)     frame 0, the true frame, frame 1; RGB
    t       float32 (N,)              in (0, 1); of real animation when the truth stands, see `data.true_time`
    coarse  float16 (N, 2, 2, h, w)   flow 0→1 and 1→0 of the preset `classical`, x first, px
    trust   uint8 (N, 2, h, w)        its importance times 255, at least 1
    flow    float16 (N, 2, 2, h, w)   the true flow 0→1 and 1→0, or what the true frame tells of it (`data.witness`)
    known   uint8 (N, 2, h, w)        1 where it is known

The guidance is found on the whole frame, as it is when frames are drawn, and cut with it.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from animeinterp.data.pseudo_labels import fit_time, pseudo_label_flow
from animeinterp.data.types import Batch, Triplet
from animeinterp.errors import FileError, UsageError
from animeinterp.interpolator import Interpolator, load_interpolator
from animeinterp.io.files import check_source, lock_folder, make_folder, write_bytes
from animeinterp.io.reading import describe_error

Arrays = dict[str, NDArray[Any]]
Source = Callable[[Sequence[int]], Iterable[Triplet]]

CROPS_PER_SHARD = 64  # crops
MIN_MOVING = 0.005  # share of a crop that changes from frame 0 to frame 1
CHANGED = 8  # of 255
MAX_OVERLAP = 0.5  # of two crops of one triplet
TRIES = 12  # places looked at per crop
NOISY_FRACTION = 0.1
FLOWS = ("coarse", "flow")
# The type of each array of a shard, and its axes between the first and the last two.
_KNOWN: dict[str, tuple[str, tuple[int, ...]]] = {
    "frames": ("U8", (3, 3)),
    "t": ("F32", ()),
    "coarse": ("F16", (2, 2)),
    "trust": ("U8", (2,)),
    "flow": ("F16", (2, 2)),
    "known": ("U8", (2,)),
}


def cut_crops(triplet: Triplet, rng: np.random.Generator, size: int = 288, count: int = 4) -> Arrays:
    """At most `count` square crops of a triplet where something moves, as a shard holds them.

    Fewer, or none (N = 0), where less of the frame moves. Raises UsageError for frames smaller than a crop.
    """
    height, width = triplet.frame0.shape[:2]
    if min(height, width) < size:
        raise UsageError(f"expected frames of at least {size}x{size}, got {width}x{height}; ask for smaller crops")
    corners = _corners(triplet, rng, size, count)
    whole = _guided(triplet)
    cuts = [{name: _cut(array, x, y, size) for name, array in whole.items()} for x, y in corners or [(0, 0)]]
    if triplet.flow01 is None:
        for cut in cuts[: len(corners)]:
            # Each for itself: what moves in one corner of a frame is not eased as what moves in another.
            cut["t"] = np.array(fit_time(cut["frames"], cut["flow"], triplet.t), np.float32)
    return {name: np.stack([cut[name] for cut in cuts])[: len(corners)] for name in whole}


def _cut(array: NDArray[Any], x: int, y: int, size: int) -> NDArray[Any]:
    return array[..., y : y + size, x : x + size] if array.ndim else array


def _guided(triplet: Triplet) -> Arrays:
    """A triplet as one crop of its whole size, without the first axis."""
    classical = _classical()
    motion = classical.motion(classical.analyze(triplet.frame0), classical.analyze(triplet.frame1))
    frames = np.stack([triplet.frame0, triplet.truth, triplet.frame1]).transpose(0, 3, 1, 2)
    trust = np.stack([motion.importance0, motion.importance1])
    arrays: Arrays = {
        "frames": frames,
        "t": np.array(triplet.t, np.float32),
        "coarse": np.stack([motion.flow01, motion.flow10]).astype(np.float16),
        "trust": np.clip(np.rint(255 * trust), 1, 255).astype(np.uint8),
    }
    if triplet.flow01 is not None:
        flows, knowns = (triplet.flow01, triplet.flow10), (triplet.known0, triplet.known1)
        arrays["flow"] = np.stack([np.asarray(flow) for flow in flows]).astype(np.float16)
        arrays["known"] = np.stack([np.asarray(known) for known in knowns]).astype(np.uint8)
    else:
        triple = triplet.frame0, triplet.truth, triplet.frame1
        flow, arrays["known"] = pseudo_label_flow(classical, triple, triplet.t, (motion.flow01, motion.flow10))
        arrays["flow"] = flow.astype(np.float16)
    return arrays


@lru_cache(maxsize=1)
def _classical() -> Interpolator:
    return load_interpolator("classical", "cpu")


def _corners(triplet: Triplet, rng: np.random.Generator, size: int, count: int) -> list[tuple[int, int]]:
    """Upper left corners (x, y) of crops around what moves."""
    height, width = triplet.frame0.shape[:2]
    difference = cv2.absdiff(triplet.frame0, triplet.frame1).max(axis=2).astype(np.float64)
    weights = np.cumsum(difference)
    corners: list[tuple[int, int]] = []
    for _ in range(TRIES * count):
        if len(corners) == count or not weights[-1]:
            break
        y, x = divmod(int(np.searchsorted(weights, rng.uniform(0, weights[-1]), side="right")), width)
        jitter = rng.uniform(-0.35, 0.35, 2) * size
        left = int(np.clip(x + jitter[0] - size / 2, 0, width - size))
        top = int(np.clip(y + jitter[1] - size / 2, 0, height - size))
        common = [max(0, size - abs(left - x0)) * max(0, size - abs(top - y0)) for x0, y0 in corners]
        moves = (difference[top : top + size, left : left + size] > CHANGED).mean()
        if moves >= MIN_MOVING and max(common, default=0) <= MAX_OVERLAP * size * size:
            corners.append((left, top))
    return corners


def write_crops(
    folder: Path | str,
    source: Source,
    shards: int,
    *,
    workers: int = 1,
    size: int = 288,
    per_triplet: int = 4,
    seed: int = 0,
) -> Iterator[Path]:
    """Fill a store up to `shards` shards; shards that are there stay. Yields each shard as it is written.

    source: seeds → triplets, at module level, so that other processes can call it. Shard k is made from the seeds
    (seed, k), whichever process makes it: a store that is broken off and gone on with is the same. workers: 1 works
    in this process, more work in as many others, one thread each.
    Raises FileError if the store cannot be written, UsageError for a source in which nothing moves or a store that is
    in use.
    """
    folder = Path(folder)
    make_folder(folder)
    with lock_folder(folder):
        missing = [path for path in (folder / f"{k:05}.safetensors" for k in range(shards)) if not path.exists()]
        write = partial(_write_shard, source, seed, size, per_triplet)
        if workers == 1:
            yield from map(write, missing)
            return
        # OpenCV's and torch's threads do not outlive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _begin_worker) as pool:
            try:
                yield from pool.map(write, missing)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list((getattr(pool, "_processes", None) or {}).values()):
                    process.terminate()  # what is in hand may take minutes
                raise


def _begin_worker() -> None:
    """Work in one thread, and leave it to the first process to answer Ctrl-C; ended by it, clean up."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def _write_shard(source: Source, seed: int, size: int, per_triplet: int, path: Path) -> Path:
    number = int(path.stem)
    rng = np.random.default_rng([seed, number, 1])
    parts: list[Arrays] = []
    held = 0
    for triplet in source((seed, number)):
        parts.append(cut_crops(triplet, rng, size, per_triplet))
        held += len(parts[-1]["t"])
        if held >= CROPS_PER_SHARD:
            break
    if not held:
        raise UsageError(f"expected triplets in which something moves for {path}, got none; give another source")
    arrays = {name: np.concatenate([part[name] for part in parts])[:CROPS_PER_SHARD] for name in parts[0]}
    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}), force=True)
    return path


class CropStore:
    """The crops of a folder, in an order and with changes that follow from a seed and a step alone.

    The list of shards is fixed when the store is opened: what is written later is not seen.
    """

    def __init__(self, folder: Path | str) -> None:
        """Raises FileError for a folder without shards, or with a shard that cannot be read."""
        paths = sorted(Path(folder).glob("*.safetensors"))
        if not paths:
            raise FileError(f"expected training crops (NNNNN.safetensors) in {folder}, found none; write them first")
        self._shards = [_open(path) for path in paths]
        counts = [shard.get_slice("t").get_shape()[0] for shard in self._shards]
        self._ends = np.cumsum(counts)
        self._order: tuple[tuple[int, int], NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return int(self._ends[-1])

    def batches(
        self, batch_size: int, size: int = 256, seed: int = 0, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """Batches without end, from step `start` on, as if `start` batches had been skipped.

        Every crop comes once per epoch. rank of world: that process's part of each step; the parts share no crop.
        """
        while True:
            yield self.batch(start, batch_size, size, seed, rank=rank, world=world)
            start += 1

    def batch(
        self, step: int, batch_size: int, size: int = 256, seed: int = 0, *, rank: int = 0, world: int = 1
    ) -> Batch:
        """The batch of a step; threads and processes may ask for any step.

        Raises UsageError for a size beyond the crops'.
        """
        first = (step * world + rank) * batch_size
        samples = []
        for place in range(first, first + batch_size):
            epoch, position = divmod(place, len(self))
            rng = np.random.default_rng([seed, 1, place])
            samples.append(_altered(self._crop(int(self._epoch(seed, epoch)[position]), size, rng), rng))
        return Batch(*(torch.from_numpy(np.stack(parts)) for parts in zip(*samples, strict=True)))

    def _epoch(self, seed: int, epoch: int) -> NDArray[np.int64]:
        order = self._order
        if order is None or order[0] != (seed, epoch):
            order = (seed, epoch), np.random.default_rng([seed, 0, epoch]).permutation(len(self))
            self._order = order
        return order[1]

    def _crop(self, index: int, size: int, rng: np.random.Generator) -> Arrays:
        """A part of a crop, size x size px; no more than that is read."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        shard = self._shards[number]
        row = index - (int(self._ends[number - 1]) if number else 0)
        height, width = shard.get_slice("frames").get_shape()[-2:]
        if size > min(height, width):
            raise UsageError(f"expected a size of at most the crops' {width}x{height}, got {size}; write larger crops")
        y, x = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
        crop: Arrays = {"t": shard.get_slice("t")[row : row + 1][0]}
        for name in ("frames", "coarse", "trust", "flow", "known"):
            if name in shard.keys():  # noqa: SIM118
                planes = shard.get_slice(name)
                between = (slice(None),) * (len(planes.get_shape()) - 3)
                crop[name] = planes[(slice(row, row + 1), *between, slice(y, y + size), slice(x, x + size))][0]
        return crop


def _open(path: Path) -> Any:
    """A shard, whose arrays have the names, types and shapes that the module tells. Raises FileError."""
    check_source(path, "a shard of training crops")
    try:
        shard: Any = safe_open(path, framework="numpy")
        found = {name: shard.get_slice(name) for name in shard.keys()}  # noqa: SIM118
        count, height, width = (found["frames"].get_shape()[axis] for axis in (0, -2, -1))
        wrong = [] if count else ["frames"]
        for name, (dtype, axes) in _KNOWN.items():
            shape = [count, *axes, height, width] if axes else [count]
            fits = name in found and found[name].get_shape() == shape and found[name].get_dtype() == dtype
            if not fits and (name in found or name not in ("flow", "known")):
                wrong.append(name)
        if wrong:
            raise ValueError(f"{', '.join(wrong)} missing, empty, or of another type or shape")
    except (OSError, SafetensorError, KeyError, IndexError, ValueError, TypeError) as error:
        raise FileError(
            f"expected a shard of training crops, {path} is none ({describe_error(error)}); delete it"
        ) from error
    return shard


def _altered(crop: Arrays, rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
    """A crop changed by chance: the arrays of one sample, in the order of `Batch`."""
    size = crop["frames"].shape[-1]
    # Arithmetic on float16 is slow, and so is numpy's way out of it.
    crop |= {name: torch.from_numpy(crop[name]).float().numpy() for name in FLOWS if name in crop}
    turned = flip_crop(crop, *(bool(b) for b in rng.random(3) < 0.5))
    if rng.random() < 0.5:
        turned = reverse_crop(turned)
    frame0, truth, frame1 = _recolored(turned["frames"][:, rng.permutation(3)], rng)
    if rng.random() < NOISY_FRACTION:
        frame0, frame1 = _spoilt(frame0, frame1, rng)
    trust = turned["trust"][:, None].astype(np.float32) / 255
    flow, known = np.zeros((2, 2, size, size), np.float32), np.zeros((2, 1, size, size), np.float32)
    if "flow" in turned:
        flow, known = turned["flow"], turned["known"][:, None].astype(np.float32)
    return frame0, frame1, np.float32(turned["t"]), truth, *turned["coarse"], *trust, *flow, *known


def flip_crop(crop: Arrays, mirrored: bool, upended: bool, transposed: bool) -> Arrays:
    """A crop's pictures and flows under mirroring in x, in y, and exchange of x and y."""
    turned = {}
    for name, array in crop.items():
        if array.ndim >= 2:
            array = array[..., ::-1] if mirrored else array
            array = array[..., ::-1, :] if upended else array
            array = array.swapaxes(-1, -2) if transposed else array
        if name in FLOWS:
            sign = np.array([-1 if mirrored else 1, -1 if upended else 1], array.dtype)
            array = array * sign[:, None, None]
            array = array[:, ::-1] if transposed else array
        turned[name] = array
    return turned


def reverse_crop(crop: Arrays) -> Arrays:
    """A crop with time running the other way."""
    return {name: 1 - array if name == "t" else array[::-1] for name, array in crop.items()}


def _recolored(frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """All frames under one random hue, gamma and brightness: float32 (3, 3, h, w) in [0, 1]."""
    gamma = np.exp(rng.uniform(-0.35, 0.35)) if rng.random() < 0.5 else 1.0
    low, high = (rng.uniform(0, 0.15), rng.uniform(0.75, 1)) if rng.random() < 0.5 else (0.0, 1.0)
    levels = low + (high - low) * np.linspace(0, 1, 256) ** gamma
    colored = levels.astype(np.float32)[frames]
    if rng.random() < 0.3:
        colored = np.matmul(_hue(rng.uniform(-np.pi, np.pi)), colored.reshape(3, 3, -1)).reshape(colored.shape)
    return np.ascontiguousarray(np.clip(colored, 0, 1, dtype=np.float32))


def _hue(angle: float) -> NDArray[np.float32]:
    """Rotation of RGB about gray."""
    vector, _ = cv2.Rodrigues(np.full(3, angle / np.sqrt(3)))
    return np.asarray(vector, np.float32)


def _spoilt(
    frame0: NDArray[np.float32], frame1: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both frames with grain, or as JPEG keeps them."""
    if rng.random() < 0.5:
        strength = rng.uniform(1, 6) / 255
        grain = (rng.standard_normal(frame0.shape, np.float32) * np.float32(strength) for _ in range(2))
        first, second = (np.clip(f + g, 0, 1) for f, g in zip((frame0, frame1), grain, strict=True))
        return first, second
    quality = int(rng.integers(50, 96))
    first, second = (_through_jpeg(frame, quality) for frame in (frame0, frame1))
    return first, second


def _through_jpeg(frame: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    bgr = np.rint(255 * frame[::-1].transpose(1, 2, 0)).astype(np.uint8)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32).transpose(2, 0, 1)[::-1]
    return np.ascontiguousarray(back / np.float32(255))
