"""Random numbers for synthetic scenes: one stream per scene, so that a scene depends on its seed and index only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_STREAM_LENGTH = 4096


class SceneRng:
    """Random numbers for N scenes at once; every method returns (N, *shape). The batch size does not change them."""

    def __init__(self, seed: int, indices: Sequence[int]) -> None:
        """Prepare the streams.

        Args:
            seed: Seed of all scenes, not negative.
            indices: Numbers of the N scenes, not negative; scene `indices[n]` has row n of every result.
        """
        self.count = len(indices)
        self._numbers = np.stack([np.random.default_rng((seed, index)).random(_STREAM_LENGTH) for index in indices])
        self._used = 0

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """Draw uniformly from [low, high)."""
        start, self._used = self._used, self._used + math.prod(shape)
        if self._used > _STREAM_LENGTH:
            raise RuntimeError(f"a scene needs more than {_STREAM_LENGTH} random numbers; raise _STREAM_LENGTH")
        return low + (high - low) * self._numbers[:, start : self._used].reshape(self.count, *shape)

    def chance(self, probability: float, *shape: int) -> Bools:
        """Draw True with the given probability."""
        return self.uniform(0, 1, *shape) < probability

    def integers(self, limit: int, *shape: int) -> Ints:
        """Draw integers from [0, limit)."""
        return np.floor(self.uniform(0, limit, *shape)).astype(np.int64)

    def choice(self, weights: Sequence[float], *shape: int) -> Ints:
        """Draw indices of `weights`, which sum to 1, with these probabilities."""
        bounds = np.cumsum(weights)[:-1]
        return np.searchsorted(bounds, self.uniform(0, 1, *shape), side="right").astype(np.int64)

    def peaked(self, limit: float, power: float, *shape: int) -> Floats:
        """Draw from (-limit, limit), most of it near 0: limit · u^power for the magnitude, u uniform."""
        numbers = self.uniform(-1, 1, *shape)
        return limit * np.sign(numbers) * np.abs(numbers) ** power

    def log_uniform(self, low: float, high: float, *shape: int) -> Floats:
        """Draw from [low, high), uniformly on a logarithmic scale."""
        return np.exp(self.uniform(math.log(low), math.log(high), *shape))
