"""Limit the threads of OpenCV and torch.

OpenCV's DIS flow depends on the number of threads, and parallel workers should not compete for the same cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import cv2


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run OpenCV in one thread within the block."""
    previous = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(previous)


@contextmanager
def single_threaded_workers() -> Iterator[Callable[[], None]]:
    """Run OpenCV and torch in one thread within the block.

    Yields:
        An initializer for the threads of a pool, because torch keeps the number per thread.
    """
    import torch

    previous = torch.get_num_threads()
    with single_threaded():
        torch.set_num_threads(1)
        try:
            yield partial(torch.set_num_threads, 1)
        finally:
            torch.set_num_threads(previous)


def keep_to_one_thread() -> None:
    """Run OpenCV and torch in one thread from now on, in a worker process."""
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
