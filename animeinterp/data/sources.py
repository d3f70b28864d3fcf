"""Opens the folders that training data comes from.

| kind | folder | gives |
| --- | --- | --- |
| crops | NNNNN.safetensors, see `animeinterp.data.crops` | samples |
| scenes | manifest.json and sprites/, see `animeinterp.data.synthetic.dataset` | samples, triplets |
| atd12k | NAME/frame1.png and so on, see `animeinterp.data.atd12k` | triplets, from which samples are cut |
| vector | .json.gz at any depth, see `animeinterp.data.vector` | triplets, from which samples are cut |
| characters | .glb, see `animeinterp.data.characters.dataset` | triplets, from which samples are cut |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from animeinterp.data import atd12k, vector
from animeinterp.data.crop_store import Arrays, CropStore, stack_samples, to_sample
from animeinterp.data.crops import cut_crops
from animeinterp.data.linear.record import check_trainable
from animeinterp.data.recognition import Kind
from animeinterp.data.types import Batch, Triplet
from animeinterp.errors import UsageError

TripletSource = Callable[[Sequence[int]], Iterator[Triplet]]
MAX_TRIPLETS_PER_SAMPLE = 20  # that are tried, if little moves in them


class SampleSource(Protocol):
    """A source of training samples, which depend only on the seed."""

    def samples(self, batch: int, seed: int) -> Batch:
        """Return `batch` samples."""
        ...


def open_triplets(folder: Path, kind: Kind, backgrounds: Path | None = None) -> TripletSource:
    """Open a folder as an endless stream of triplets.

    Args:
        folder: The training data.
        kind: Its kind, see `animeinterp.data.recognition`.
        backgrounds: Images behind vector animations or characters.

    Returns:
        A function of seeds; the same seeds give the same triplets.

    Raises:
        UsageError: There are no triplets in this kind, or the folder is a linear set or its art.
    """
    for path in (folder, backgrounds):
        if path is not None:
            check_trainable(path)
    if kind == "vector":
        return partial(vector.generate_triplets, folder, backgrounds=backgrounds)
    if kind == "atd12k":
        return partial(atd12k.shuffle_triplets, folder)
    if kind == "scenes":
        from animeinterp.data.synthetic.dataset import triplets

        return partial(triplets, folder)
    if kind == "characters":
        from animeinterp.data.characters import dataset as characters

        return partial(characters.triplets, folder, backgrounds=backgrounds)
    raise UsageError(
        f"{folder} holds {kind} already; expected triplets, vector animations, characters or assets to cut crops from"
    )


def open_samples(folder: Path, kind: Kind, size: int = 256, backgrounds: Path | None = None) -> SampleSource:
    """Open a folder as a source of samples.

    Args:
        folder: The training data.
        kind: Its kind, see `animeinterp.data.recognition`.
        size: Side of a sample, px.
        backgrounds: Images behind vector animations or characters.

    Returns:
        The source.

    Raises:
        FileError: The folder cannot be read.
        UsageError: It is a linear set or its art.
    """
    if kind == "crops":
        return _StoredSamples(CropStore(folder), size)
    if kind == "scenes":
        from animeinterp.data.synthetic.dataset import SceneSource

        return SceneSource(folder, size)
    return _CutSamples(open_triplets(folder, kind, backgrounds), size)


@dataclass(frozen=True, slots=True)
class _StoredSamples:
    store: CropStore
    size: int

    def samples(self, batch: int, seed: int) -> Batch:
        return self.store.batch(0, batch, self.size, seed)


@dataclass(frozen=True, slots=True)
class _CutSamples:
    """One crop of each triplet, without augmentation."""

    triplets: TripletSource
    size: int

    def samples(self, batch: int, seed: int) -> Batch:
        rng = np.random.default_rng([seed, 1])
        count = MAX_TRIPLETS_PER_SAMPLE * batch
        crops = (cut_crops(triplet, rng, self.size, 1) for triplet in islice(self.triplets((seed, 0)), count))
        samples = [_to_sample(crop) for crop in islice((crop for crop in crops if len(crop["t"])), batch)]
        if len(samples) < batch:
            raise UsageError(
                f"hardly anything moves: {count} triplets gave {len(samples)} of {batch} samples; give another source"
            )
        return stack_samples(samples)


def _to_sample(crops: Arrays) -> Arrays:
    """Convert the first of the crops to a sample."""
    crop = {name: array[0] for name, array in crops.items()}
    return to_sample(crop, crop["frames"].astype(np.float32) / 255)
