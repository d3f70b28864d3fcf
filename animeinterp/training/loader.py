"""Batches out of several sources, fetched ahead by threads, and always the same for the same seed and step."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from animeinterp.data.types import Batch

_AHEAD = 2  # batches per thread


class Source(Protocol):
    """Anything that gives training samples."""

    def batches(self, batch_size: int, size: int, seed: int, *, start: int, rank: int, world: int) -> Iterator[Batch]:
        """Endless batches of `batch_size` samples of `size` x `size` px, beginning with batch number `start`.

        What comes depends on the arguments only; the `world` ranks get different samples.
        """
        ...


def mixed(
    sources: Sequence[tuple[Source, float]], batch_size: int, size: int, seed: int, start: int, rank: int, world: int
) -> Iterator[Batch]:
    """Endless batches, each from one source, drawn by weight. Arguments as in `Source.batches`."""
    random = np.random.default_rng([seed, rank])
    ends = np.cumsum([weight for _, weight in sources])
    edges = ends[:-1] / ends[-1]
    past = np.searchsorted(edges, random.random(start), side="right")
    streams = [
        source.batches(batch_size, size, seed, start=int((past == index).sum()), rank=rank, world=world)
        for index, (source, _) in enumerate(sources)
    ]
    while True:
        yield next(streams[int(np.searchsorted(edges, random.random(), side="right"))])


class Ahead:
    """Batches fetched by threads; `close` ends them. Fetched in line if `workers` is 0.

    Thread k of W is rank (rank · W + k) of (world · W), and the threads take turns: the same batches come in the same
    order, however the threads run. A mistake in a thread is raised by `next`.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Source, float]],
        batch_size: int,
        size: int,
        seed: int,
        start: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 1,
    ) -> None:
        count = max(workers, 1)
        self._turn = start % count
        self._closed = threading.Event()
        # Thread k fetches the batches k, k + W, …: so many of them lie before `start`.
        self._streams = [
            mixed(sources, batch_size, size, seed, (start - k + count - 1) // count, rank * count + k, world * count)
            for k in range(count)
        ]
        self._queues: list[queue.Queue[Batch | Exception]] = [queue.Queue(_AHEAD) for _ in range(count)]
        self._threads = [threading.Thread(target=self._fetch, args=(k,), daemon=True) for k in range(workers)]
        for thread in self._threads:
            thread.start()

    def __next__(self) -> Batch:
        """The next batch."""
        turn, self._turn = self._turn, (self._turn + 1) % len(self._streams)
        if not self._threads:
            return next(self._streams[turn])
        got = self._queues[turn].get()
        if isinstance(got, Exception):
            raise got
        return got

    def close(self) -> None:
        """End the threads; what they had fetched is dropped."""
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _fetch(self, k: int) -> None:
        while not self._closed.is_set():
            got: Batch | Exception
            try:
                got = next(self._streams[k])
            except Exception as error:  # raised again where the batch is wanted
                got = error
            while not self._closed.is_set():
                try:
                    self._queues[k].put(got, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if isinstance(got, Exception):
                return
