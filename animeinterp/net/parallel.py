"""Compiled CPU kernels over bands of rows, on plain threads.

numba's own `parallel=True` is not used: its fallback threading layer aborts the process when two Python threads
enter it at once, as a video job does. A kernel compiled with `nogil` and called from a few threads is safe anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


def over_rows(kernel: Callable[..., None], rows: int, *arguments: Any) -> None:
    """Call `kernel(first, last, *arguments)` on bands [first, last) that cover `rows` rows.

    One band per torch thread. A kernel must write only what belongs to its own rows and must not depend on where
    the bands end, so that results are the same for any number of threads.
    """
    bands = max(1, min(torch.get_num_threads(), rows))
    edges = [rows * i // bands for i in range(bands + 1)]
    if bands == 1:
        kernel(0, rows, *arguments)
        return
    with ThreadPoolExecutor(bands) as pool:
        jobs = [pool.submit(kernel, edges[i], edges[i + 1], *arguments) for i in range(bands)]
        for job in jobs:
            job.result()
