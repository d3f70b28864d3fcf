"""One background thread and the bounded queue between it and its caller.

Either side may produce the items and the other consumes them: `animeinterp.runtime.prefetch` fetches items in the
thread, `animeinterp.video.sink.frame_sink` encodes frames in it. An error in the thread is raised again in the caller.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """A thread with a bounded queue, an iterator over the queued items.

    `close` ends the queue: items queued before are still delivered, then the iteration ends, or raises the thread's
    error. The queue closes by itself when the thread ends. End every worker by `close` and `join`.
    """

    def __init__(self, size: int, work: Callable[[Worker[Item]], object]) -> None:
        """Start the thread.

        Args:
            size: The most items that wait in the queue.
            work: Runs in the thread and is given this worker, to `put` items or to iterate over them.
        """
        self._size, self._work = size, work
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
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
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            if self._closed:
                raise self._error or QueueClosed
            self._items.append(item)
            self._changed.notify_all()

    def __iter__(self) -> Worker[Item]:
        return self

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            if not self._items:
                raise self._error or StopIteration
            self._changed.notify_all()
            return self._items.popleft()

    def close(self) -> None:
        """End the queue, from either side; does not wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

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


class QueueClosed(Exception):
    """The queue is closed. In the thread it ends the work without an error."""
