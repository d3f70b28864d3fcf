"""Running a compiled kernel over bands of rows on plain threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

Kernel = Callable[..., None]


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
