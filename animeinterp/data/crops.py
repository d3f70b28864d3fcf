"""Training crops on disk: cut once together with their coarse flow; `animeinterp.data.crop_store` reads them.

A store is a folder of shards, NNNNN.safetensors, each of N crops of h x w px:

    frames  uint8 (N, 3, 3, h, w)     frame 0, the true frame, frame 1; RGB
    t       float32 (N,)              time of the true frame, in (0, 1); fitted where the flow is a pseudo-label
    coarse  float16 (N, 2, 2, h, w)   flow 0→1 and 1→0 of the preset `classical`, x first, px
    trust   uint8 (N, 2, h, w)        confidence of `coarse` times 255, at least 1
    flow    float16 (N, 2, 2, h, w)   flow 0→1 and 1→0, true or pseudo-label (`animeinterp.data.pseudo_labels`)
    known   uint8 (N, 2, h, w)        1 where `flow` is known

The coarse flow is computed on the whole frame, as at inference, and cropped with it. In stores of labels
(`animeinterp.data.labels`) the true frame is a drawing of a model exactly at t, each crop occurs at several times, and
`flow` and `known` are left out: nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from animeinterp.data.crop_store import Arrays
from animeinterp.data.difficulty import CHANGED_LEVELS
from animeinterp.data.labels import Labels, label_crops, load_labeler
from animeinterp.data.pseudo_labels import fit_time, pseudo_label_flow
from animeinterp.data.types import Triplet
from animeinterp.errors import UsageError
from animeinterp.interpolator import Interpolator
from animeinterp.io.files import lock_folder, make_folder, write_bytes
from animeinterp.loading import load_interpolator
from animeinterp.runtime.machine import available_memory
from animeinterp.runtime.pools import Workers, map_in_workers
from animeinterp.runtime.ray_cluster import RayCluster, RayWorkers
from animeinterp.runtime.task_pool import AHEAD

Source = Callable[[Sequence[int]], Iterable[Triplet]]

CROPS_PER_SHARD = 64
_BYTES_PER_PIXEL = 29  # of a crop: three frames, two coarse and two true flows in float16, and their masks


@dataclass(frozen=True, slots=True)
class CropLimits:
    """Where crops are cut. Set by hand, so that crops show motion and differ from each other.

    Attributes:
        min_changed: Fraction of a crop's pixels that change from frame 0 to frame 1, at least.
        max_overlap: Fraction of its area that a crop may share with another of the same triplet.
        jitter: Maximum offset of a crop's center from a changed pixel, as a fraction of its side.
        attempts: Positions that are tried per crop.
    """

    min_changed: float = 0.005
    max_overlap: float = 0.5
    jitter: float = 0.35
    attempts: int = 12


LIMITS = CropLimits()


def cut_crops(
    triplet: Triplet,
    rng: np.random.Generator,
    size: int = 288,
    count: int = 4,
    limits: CropLimits = LIMITS,
    labels: Labels | None = None,
) -> Arrays:
    """Cut square crops of a triplet where something moves.

    Args:
        triplet: The frames, and their true flow if known.
        rng: Chooses the positions.
        size: Side of the crops, px.
        count: Maximum number of crops.
        limits: Where crops are cut.
        labels: How the true frame is replaced by labels, several per crop; None keeps it.

    Returns:
        The arrays of a shard; fewer crops, or none (N = 0), where little of the frame moves.

    Raises:
        UsageError: The frames are smaller than a crop.
    """
    height, width = triplet.frame0.shape[:2]
    if min(height, width) < size:
        raise UsageError(f"expected frames of at least {size}x{size}, got {width}x{height}; ask for smaller crops")
    corners = _choose_corners(triplet, rng, size, count, limits)
    whole = _compute_arrays(triplet, with_flow=labels is None)
    crops = [{name: _cut(array, x, y, size) for name, array in whole.items()} for x, y in corners or [(0, 0)]]
    if labels is not None:
        labeled = label_crops(crops[: len(corners)], corners, triplet, labels, rng)
        return {name: np.stack([crop[name] for crop in labeled or crops])[: len(labeled)] for name in whole}
    if triplet.flow01 is None:
        for crop in crops[: len(corners)]:
            # One time per crop: the parts of a frame are eased differently.
            crop["t"] = np.array(fit_time(crop["frames"], crop["flow"], triplet.t), np.float32)
    return {name: np.stack([crop[name] for crop in crops])[: len(corners)] for name in whole}


def write_crops(
    folder: Path | str,
    source: Source,
    shards: int,
    *,
    workers: Workers = 1,
    size: int = 288,
    per_triplet: int = 4,
    seed: int = 0,
    labels: Labels | None = None,
) -> Iterator[Path]:
    """Write the missing shards of a store. Shard k depends only on the seeds (seed, k), so a store can be continued.

    Args:
        folder: The store; made if absent.
        source: Returns triplets for seeds; a module-level function, so that other processes can call it.
        shards: Number of shards of the complete store.
        workers: 1 works in this process, more in as many others; the crops do not depend on it. `RayWorkers()` works on
            a Ray cluster, whose machines read the source, and this process writes the store.
        size: Side of the crops, px.
        per_triplet: Maximum number of crops of one triplet.
        seed: Seed of the store.
        labels: How true frames are replaced by labels; None keeps them. `per_triplet` does not count their times.

    Yields:
        The path of each shard once it is written.

    Raises:
        FileError: The store cannot be written.
        UsageError: Nothing moves in the source, or the store is in use.
    """
    folder = Path(folder)
    make_folder(folder)
    with lock_folder(folder):
        missing = [path for path in (folder / f"{k:05}.safetensors" for k in range(shards)) if not path.exists()]
        cut = partial(_cut_shard, source, seed, size, per_triplet)
        if not isinstance(workers, RayWorkers):
            yield from map_in_workers(partial(_write_shard, cut, labels), missing, workers)
            return
        with RayCluster(workers) as cluster:
            labels = _send_labels(labels, cluster)
            contents = map_in_workers(partial(cut, labels), missing, _limit(workers, size))
            for path, content in zip(missing, contents, strict=True):
                write_bytes(path, content, force=True)
                yield path


def _limit(workers: RayWorkers, size: int) -> RayWorkers:
    """Limit the workers of a cluster to those whose shards fit into half of the memory of this process."""
    memory = available_memory()
    if memory is None:
        return workers
    most = max(1, memory // 2 // (AHEAD * CROPS_PER_SHARD * _BYTES_PER_PIXEL * size**2))
    return replace(workers, count=most if workers.count is None else min(most, workers.count))


def _send_labels(labels: Labels | None, cluster: RayCluster) -> Labels | None:
    """Check the machines of a cluster, and load the model that draws the labels, to be sent there."""
    from animeinterp.cluster import send_models

    models, _ = send_models(cluster, [] if labels is None else [partial(load_labeler, labels)], "cpu")
    return None if labels is None else replace(labels, load=models[0])


def _write_shard(cut: Callable[[Labels | None, Path], bytes], labels: Labels | None, path: Path) -> Path:
    write_bytes(path, cut(labels, path), force=True)
    return path


def _cut_shard(source: Source, seed: int, size: int, per_triplet: int, labels: Labels | None, path: Path) -> bytes:
    """Cut the crops of a shard; return the content of its file."""
    number = int(path.stem)
    rng = np.random.default_rng([seed, number, 1])
    parts: list[Arrays] = []
    count = 0
    for triplet in source((seed, number)):
        parts.append(cut_crops(triplet, rng, size, per_triplet, labels=labels))
        count += len(parts[-1]["t"])
        if count >= CROPS_PER_SHARD:
            break
    if not count:
        raise UsageError(f"expected triplets in which something moves for {path}, got none; give another source")
    arrays = {name: np.concatenate([part[name] for part in parts])[:CROPS_PER_SHARD] for name in parts[0]}
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def _compute_arrays(triplet: Triplet, with_flow: bool = True) -> Arrays:
    """Compute the arrays of one crop of the whole frame, without the first axis."""
    classical = _classical()
    motion = classical.motion(classical.analyze(triplet.frame0), classical.analyze(triplet.frame1))
    confidence = np.stack([motion.importance0, motion.importance1])
    arrays: Arrays = {
        "frames": np.stack([triplet.frame0, triplet.truth, triplet.frame1]).transpose(0, 3, 1, 2),
        "t": np.array(triplet.t, np.float32),
        "coarse": np.stack([motion.flow01, motion.flow10]).astype(np.float16),
        "trust": np.clip(np.rint(255 * confidence), 1, 255).astype(np.uint8),
    }
    if not with_flow:
        return arrays
    if triplet.flow01 is not None:
        flow = np.stack([np.asarray(flow) for flow in (triplet.flow01, triplet.flow10)])
        known = np.stack([np.asarray(known) for known in (triplet.known0, triplet.known1)]).astype(np.uint8)
    else:
        flow, known = pseudo_label_flow(classical, triplet, motion.flow01, motion.flow10)
    return arrays | {"flow": flow.astype(np.float16), "known": known}


@lru_cache(maxsize=1)
def _classical() -> Interpolator:
    return load_interpolator("classical", "cpu")


def _choose_corners(
    triplet: Triplet, rng: np.random.Generator, size: int, count: int, limits: CropLimits
) -> list[tuple[int, int]]:
    """Choose the upper left corners (x, y) of crops around changed pixels."""
    height, width = triplet.frame0.shape[:2]
    difference = cv2.absdiff(triplet.frame0, triplet.frame1).max(axis=2).astype(np.float64)
    weights = np.cumsum(difference)
    corners: list[tuple[int, int]] = []
    for _ in range(limits.attempts * count):
        if len(corners) == count or not weights[-1]:
            break
        y, x = divmod(int(np.searchsorted(weights, rng.uniform(0, weights[-1]), side="right")), width)
        jitter = rng.uniform(-limits.jitter, limits.jitter, 2) * size
        left = int(np.clip(x + jitter[0] - size / 2, 0, width - size))
        top = int(np.clip(y + jitter[1] - size / 2, 0, height - size))
        overlaps = [max(0, size - abs(left - x0)) * max(0, size - abs(top - y0)) for x0, y0 in corners]
        changed = (difference[top : top + size, left : left + size] > CHANGED_LEVELS).mean()
        if changed >= limits.min_changed and max(overlaps, default=0) <= limits.max_overlap * size * size:
            corners.append((left, top))
    return corners


def _cut(array: NDArray[Any], x: int, y: int, size: int) -> NDArray[Any]:
    return array[..., y : y + size, x : x + size] if array.ndim else array
