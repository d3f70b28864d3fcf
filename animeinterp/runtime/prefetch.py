"""Stages that overlap: an iterator that works ahead of whoever asks for its items."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")
_END = object()


def prefetch(items: Iterable[Item], size: int) -> Generator[Item]:
    """The items, fetched by a thread at most `size` ahead. What the thread raises is raised here, in its place.

    Closing the generator ends the thread and closes the items.
    """
    worker = _Worker(items, size)
    worker.start()
    try:
        while True:
            item, error = worker.waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        worker.closed.set()
        worker.join()


class _Worker(threading.Thread):
    def __init__(self, items: Iterable[Any], size: int) -> None:
        super().__init__(daemon=True)
        self.waiting: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(size)
        self.closed = threading.Event()
        self._items = items

    def run(self) -> None:
        items = iter(self._items)
        try:
            for item in items:
                if not self._put(item):
                    return
            self._put(_END)
        except BaseException as error:  # raised again where the item is wanted
            self._put(_END, error)
        finally:
            if isinstance(items, Generator):
                items.close()

    def _put(self, item: Any, error: BaseException | None = None) -> bool:
        while not self.closed.is_set():
            try:
                self.waiting.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
