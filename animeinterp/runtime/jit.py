"""Just-in-time compilation by numba, with the disk cache of `animeinterp.runtime.kernel_cache`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.dispatcher import Dispatcher

from animeinterp.runtime.kernel_cache import KernelCache

Function = Callable[..., Any]


def cached_njit(**options: Any) -> Callable[[Function], Function]:
    """Return a decorator that compiles as `numba.njit` does, releases the interpreter's lock and caches on disk.

    Args:
        **options: Options of `numba.njit`, except `nogil` and `cache`.

    Returns:
        The decorator.
    """

    def decorate(function: Function) -> Function:
        kernel: Function = numba.njit(nogil=True, **options)(function)
        if isinstance(kernel, Dispatcher):  # a plain function if NUMBA_DISABLE_JIT is set
            dispatcher: Any = kernel
            # `cache=True` sets this attribute to numba's own cache; there is no public way to replace it.
            dispatcher._cache = KernelCache(function)
        return kernel

    return decorate
