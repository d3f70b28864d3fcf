"""Work without threads of its own: DIS flow depends on how many OpenCV takes, and workers must not crowd each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import cv2


@contextmanager
def single_threaded() -> Iterator[None]:
    """OpenCV in one thread."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def single_threaded_workers() -> Iterator[Callable[[], None]]:
    """OpenCV and torch without threads of their own; gives what each worker has to call first."""
    import torch

    before = torch.get_num_threads()
    with single_threaded():
        torch.set_num_threads(1)
        try:
            yield partial(torch.set_num_threads, 1)
        finally:
            torch.set_num_threads(before)
