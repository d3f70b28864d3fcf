"""Compiled CPU kernels, and running one over bands of rows on plain threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import torch

Kernel = Callable[..., None]


def compiled(**options: Any) -> Callable[[Kernel], Kernel]:
    """`numba.njit` that leaves the interpreter's lock, cached on disk where there is a place for it.

    Where no cache directory can be written, as in a read-only container, numba raises RuntimeError when
    decorating; then the kernel is compiled anew in each process.
    """

    def decorate(function: Kernel) -> Kernel:
        try:
            kernel: Kernel = numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:
            kernel = numba.njit(nogil=True, **options)(function)
        return kernel

    return decorate


def over_rows(kernel: Kernel, rows: int, *arguments: Any) -> None:
    """Call `kernel(first, last, *arguments)` on bands [first, last) of `rows` rows, one per torch thread.

    A kernel must write only what belongs to its own rows and must not depend on where the bands end, so that
    results are the same for any number of threads. Plain threads, not numba's `parallel=True`, whose fallback
    threading layer aborts the process when two Python threads enter it at once, as a video job may.
    """
    bands = max(1, min(torch.get_num_threads(), rows))
    if bands == 1:
        kernel(0, rows, *arguments)
        return
    edges = [rows * i // bands for i in range(bands + 1)]
    with ThreadPoolExecutor(bands) as pool:
        jobs = [pool.submit(kernel, edges[i], edges[i + 1], *arguments) for i in range(bands)]
        for job in jobs:
            job.result()
