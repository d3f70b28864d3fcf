"""Folders that training data comes from, recognized by what lies in them.

crops     NNNNN.safetensors, see `animeinterp.data.crops`           → samples
scenes    manifest.json and sprites/, see `animeinterp.data.synthetic.dataset` → samples
atd12k    NAME/frame1.png …, see `animeinterp.data.atd12k`          → triplets, cut into samples
vector    .json.gz somewhere below, see `animeinterp.data.vector`   → triplets, cut into samples
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from animeinterp.data import atd12k, vector
from animeinterp.data.crops import Arrays, CropStore, cut_crops
from animeinterp.data.linear.record import check_trainable
from animeinterp.data.recognition import Kind, recognize
from animeinterp.data.types import Batch, Triplet
from animeinterp.errors import UsageError

__all__ = ["Kind", "SampleSource", "open_samples", "open_triplets", "recognize"]
Triplets = Callable[[Sequence[int]], Iterator[Triplet]]
PATIENCE = 20  # triplets looked at per sample, should little move in them


class SampleSource(Protocol):
    """Anything that gives samples; the same ones for the same seed."""

    def samples(self, batch: int, seed: int) -> Batch:
        """So many samples, see `animeinterp.data.sample`."""
        ...


def open_triplets(folder: Path, kind: Kind, backgrounds: Path | None = None) -> Triplets:
    """Triplets without end, by seeds. backgrounds: pictures to lay vector animations over.

    Raises UsageError for a kind that has none, and for linear sets and their art, which are for evaluation only.
    """
    for place in (folder, backgrounds):
        if place is not None:
            check_trainable(place)
    if kind == "vector":
        return partial(vector.generate_triplets, folder, backgrounds=backgrounds)
    if kind == "atd12k":
        return atd12k.ATD12K(folder)
    if kind == "scenes":
        from animeinterp.data.synthetic.dataset import triplets

        return partial(triplets, folder)
    raise UsageError(f"{folder} holds {kind} already; expected triplets, vector animations or assets to cut crops from")


def open_samples(folder: Path, kind: Kind, size: int = 256, backgrounds: Path | None = None) -> SampleSource:
    """Samples of size x size px. Raises FileError where the folder cannot be read."""
    if kind == "crops":
        return _Stored(CropStore(folder), size)
    if kind == "scenes":
        from animeinterp.data.synthetic.dataset import SceneSource

        return SceneSource(folder, size)
    return _Cut(open_triplets(folder, kind, backgrounds), size)


@dataclass(frozen=True, slots=True)
class _Stored:
    store: CropStore
    size: int

    def samples(self, batch: int, seed: int) -> Batch:
        return self.store.batch(0, batch, self.size, seed)


@dataclass(frozen=True, slots=True)
class _Cut:
    """One crop of each triplet, unchanged."""

    triplets: Triplets
    size: int

    def samples(self, batch: int, seed: int) -> Batch:
        rng = np.random.default_rng([seed, 1])
        stream = islice(self.triplets((seed, 0)), PATIENCE * batch)
        crops = (cut_crops(triplet, rng, self.size, 1) for triplet in stream)
        parts = list(islice((crop for crop in crops if len(crop["t"])), batch))
        if len(parts) < batch:
            raise UsageError(f"hardly anything moves: {PATIENCE * batch} triplets gave {len(parts)} of {batch} samples")
        return Batch(*(torch.cat(planes) for planes in zip(*map(_planes, parts), strict=True)))


def _planes(crop: Arrays) -> Batch:
    frame0, truth, frame1 = torch.from_numpy(crop["frames"]).float().div(255).unbind(1)
    count, _, height, width = frame0.shape
    coarse, trust = torch.from_numpy(crop["coarse"]).float(), torch.from_numpy(crop["trust"]).float().div(255)
    flow = torch.from_numpy(crop.get("flow", np.zeros((count, 2, 2, height, width), np.float16))).float()
    known = torch.from_numpy(crop.get("known", np.zeros((count, 2, height, width), np.uint8))).float()
    pairs = (*coarse.unbind(1), *trust.chunk(2, 1), *flow.unbind(1), *known.chunk(2, 1))
    return Batch(frame0, frame1, torch.from_numpy(crop["t"]), truth, *pairs)
