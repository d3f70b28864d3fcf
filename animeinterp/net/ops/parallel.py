"""Run a compiled kernel over bands of rows on plain threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Kernel = Callable[..., None]


def channels_last_array(tensor: Tensor) -> NDArray[Any]:
    """Give a kernel (N, C, H, W) as a contiguous array (N, H, W, C), without a copy where memory is so already."""
    return np.asarray(tensor.detach().permute(0, 2, 3, 1).contiguous().numpy())


def over_rows(kernel: Kernel, rows: int, *arguments: Any) -> None:
    """Call `kernel(first, last, *arguments)` on bands [first, last) of rows, one band per torch thread.

    Plain threads, not numba's `parallel=True`, whose fallback threading layer aborts the process when two Python
    threads enter it at once, as a video job may.

    Args:
        kernel: Must write only what belongs to its rows and must not depend on where bands end, so that results are
            the same for any number of threads.
        rows: Number of rows.
        arguments: Passed on.
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
