"""The models that the page has loaded: each once, for all visitors."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from animeinterp.config import PRESETS, Options
from animeinterp.errors import AnimeInterpError
from animeinterp.weights.locations import weight_files

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator


class LoadedModels:
    """Loads models when they are first asked for."""

    def __init__(self, device: str, options: Options) -> None:
        """Remember how to load.

        Args:
            device: As in `load_interpolator`.
            options: How they are run.
        """
        self.device, self.options = device, options
        self._lock = threading.Lock()
        self._loaded: dict[str, Interpolator] = {}

    def get(self, name: str) -> Interpolator:
        """Return a model, loaded on the first call; raises as `load_interpolator`."""
        from animeinterp.loading import load_interpolator

        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load_interpolator(name, self.device, options=self.options)
            return self._loaded[name]


def usable_models() -> list[str]:
    """List the presets whose weights are on this machine."""
    usable = []
    for name in PRESETS:
        with suppress(AnimeInterpError):
            weight_files(name)
            usable.append(name)
    return usable
