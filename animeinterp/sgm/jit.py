"""Just-in-time compilation of the sequential parts, with a cache on disk where there is a place for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.njit`, cached; without a writable cache directory, compiled anew in each process.

    Where neither the package's directory nor the user's cache directory can be written, as in a read-only
    container, numba raises RuntimeError when decorating: that must not keep the package from importing.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
