"""Scenes as pictures with true flow: so that real matching can be run over them, as over a film."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.data.synthetic.dataset import SceneSource
from animeinterp.data.types import Triplet

SIZE = (432, 640)  # height, width, px: crops of a few hundred px see matching done on more than themselves


def triplets(folder: Path, seeds: Sequence[int]) -> Iterator[Triplet]:
    """Scenes without end, the same for the same seeds; folder: of assets, see `scenes.art`."""
    source = _source(folder)
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    for index in itertools.count():
        scene = source.scenes(1, seed, index)
        yield Triplet(
            frame0=_picture(scene.frame0),
            truth=_picture(scene.truth),
            frame1=_picture(scene.frame1),
            t=float(scene.t[0]),
            flow01=(scene.flow01 * scene.known0)[0].numpy(),
            flow10=(scene.flow10 * scene.known1)[0].numpy(),
            known0=scene.known0[0, 0].numpy() > 0,
            known1=scene.known1[0, 0].numpy() > 0,
        )


@lru_cache(maxsize=1)
def _source(folder: Path) -> SceneSource:
    return SceneSource(folder, SIZE)


def _picture(frame: Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rint(frame[0].numpy().transpose(1, 2, 0) * 255).astype(np.uint8))
