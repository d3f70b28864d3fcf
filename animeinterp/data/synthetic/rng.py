"""Random numbers for scenes: one stream per scene, so that a scene depends on its seed and index alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_ROLLS = 4096


class SceneRng:
    """Numbers for N scenes at once; every method returns (N, *shape), whatever the size of the batch."""

    def __init__(self, seed: int, indices: Sequence[int]) -> None:
        """Scene `indices[n]` of the seed is row n of all that is drawn. seed and indices: not negative."""
        self.count = len(indices)
        self._rolls = np.stack([np.random.default_rng((seed, index)).random(_ROLLS) for index in indices])
        self._used = 0

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """Evenly from [low, high)."""
        start, self._used = self._used, self._used + math.prod(shape)
        if self._used > _ROLLS:
            raise RuntimeError(f"a scene wants more than {_ROLLS} random numbers; raise _ROLLS")
        return low + (high - low) * self._rolls[:, start : self._used].reshape(self.count, *shape)

    def chance(self, probability: float, *shape: int) -> Bools:
        """True with this probability."""
        return self.uniform(0, 1, *shape) < probability

    def below(self, limit: int, *shape: int) -> Ints:
        """A whole number from 0 to limit - 1."""
        return np.floor(self.uniform(0, limit, *shape)).astype(np.int64)

    def pick(self, weights: Sequence[float], *shape: int) -> Ints:
        """An index into the weights, which sum to 1."""
        bounds = np.cumsum(weights)[:-1]
        return np.searchsorted(bounds, self.uniform(0, 1, *shape), side="right").astype(np.int64)

    def tail(self, largest: float, power: float, *shape: int) -> Floats:
        """From (-largest, largest), mostly small: heavier towards 0 the larger the power."""
        rolls = self.uniform(-1, 1, *shape)
        return largest * np.sign(rolls) * np.abs(rolls) ** power

    def log_uniform(self, low: float, high: float, *shape: int) -> Floats:
        """From [low, high), evenly on a logarithmic scale."""
        return np.exp(self.uniform(math.log(low), math.log(high), *shape))
