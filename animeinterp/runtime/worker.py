"""One background thread and the bounded queue between it and its caller.

Either side may produce the items and the other consumes them: `animeinterp.runtime.prefetch` fetches items in the
thread, `animeinterp.video.sink.frame_sink` encodes frames in it. An error in the thread is raised again in the caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """A thread with a bounded queue, an iterator over the queued items.

    `close` ends the queue: items queued before are still delivered, then the iteration ends, or raises the thread's
    error. The queue closes by itself when the thread ends. End every worker by `close` and `join`.

    A signal may raise an exception anywhere in the main thread (`animeinterp.cli.signals`). A `threading.Condition`
    then sometimes stays locked, and the other thread waits forever; `SimpleQueue` has no lock in Python code.
    """

    def __init__(self, size: int, work: Callable[[Worker[Item]], object]) -> None:
        """Start the thread.

        Args:
            size: The most items that wait in the queue.
            work: Runs in the thread and is given this worker, to `put` items or to iterate over them.
        """
        self._work = work
        self._items: SimpleQueue[_Queued[Item] | None] = SimpleQueue()  # None at the end
        self._room: SimpleQueue[bool] = SimpleQueue()  # an entry for each item that fits in; False at the end
        for _ in range(size):
            self._room.put(True)
        self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Add an item; wait while the queue is full.

        Raises:
            QueueClosed: The queue was closed.
            BaseException: The thread's own error, if it failed.
        """
        if not self._room.get() or self._closed:
            self._room.put(False)  # for the next call
            raise self._error or QueueClosed
        self._items.put(_Queued(item))

    def __iter__(self) -> Worker[Item]:
        return self

    def __next__(self) -> Item:
        queued = self._items.get()
        if queued is None:
            self._items.put(None)  # for the next call
            raise self._error or StopIteration
        self._room.put(True)
        return queued.item

    def close(self) -> None:
        """End the queue, from either side; does not wait."""
        self._closed = True
        self._items.put(None)
        self._room.put(False)

    def join(self) -> None:
        """Wait until the thread has ended. Does not raise its error."""
        self._thread.join()

    def finish(self) -> None:
        """Close the queue, wait until the thread has worked through it, and raise its error if it failed."""
        self.close()
        self.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work(self)
        except QueueClosed:
            pass
        except BaseException as error:  # raised again in the caller
            self._error = error
        finally:
            self.close()


class _Queued(NamedTuple, Generic[Item]):
    """An item, which may itself be None."""

    item: Item


class QueueClosed(Exception):
    """The queue is closed. In the thread it ends the work without an error."""
