"""Just-in-time compilation of the sequential parts, with a cache on disk where there is a place for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

Function = Callable[..., Any]


def compiled(**options: Any) -> Callable[[Function], Function]:
    """`numba.njit` that leaves the interpreter's lock, cached; without a writable cache, compiled anew per process.

    Where neither the package's directory nor the user's cache directory can be written, as in a read-only
    container, numba raises RuntimeError when decorating: that must not keep the package from importing.
    """

    def decorate(function: Function) -> Function:
        try:
            kernel: Function = numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            kernel = numba.njit(nogil=True, **options)(function)
        return kernel

    return decorate
