"""Just-in-time compilation of the sequential parts, by numba, with the cache of `animeinterp.runtime.kernel_cache`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.dispatcher import Dispatcher

from animeinterp.runtime.kernel_cache import KernelCache

Function = Callable[..., Any]


def cached_njit(**options: Any) -> Callable[[Function], Function]:
    """`numba.njit` that leaves the interpreter's lock, cached; without a place for a cache, compiled anew per process.

    Args:
        **options: Those of `numba.njit`, but `nogil` and `cache`.

    Returns:
        The decorator.
    """

    def decorate(function: Function) -> Function:
        kernel: Function = numba.njit(nogil=True, **options)(function)
        if isinstance(kernel, Dispatcher):  # a plain function where NUMBA_DISABLE_JIT is set
            dispatcher: Any = kernel
            # What `cache=True` sets to numba's own cache, which offers no other way to replace it.
            dispatcher._cache = KernelCache(function)
        return kernel

    return decorate
