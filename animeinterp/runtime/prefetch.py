"""Iteration that overlaps with its consumer: a background thread fetches the next items in advance."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

from animeinterp.runtime.worker import Worker

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], size: int) -> Generator[Item]:
    """Iterate over items that a background thread fetches in advance.

    The thread starts with the first item requested. Closing the generator ends the thread and closes the items.

    Args:
        items: What to iterate over, in the thread.
        size: The most items that wait in the queue.

    Yields:
        The items in order; an error of the thread is raised in its place.
    """
    worker = start_fetching(items, size)
    try:
        yield from worker
    finally:
        worker.close()
        worker.join()


def start_fetching(items: Iterable[Item], size: int) -> Worker[Item]:
    """Fetch items from now on; the worker iterates over them and must be closed. Arguments as in `prefetch`."""

    def fetch(worker: Worker[Item]) -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                worker.put(item)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    return Worker(size, fetch)
