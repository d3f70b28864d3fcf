"""Batches out of several sources, fetched ahead by threads, and always the same for the same seed and step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from animeinterp.data.types import Batch
from animeinterp.runtime.prefetch import start_fetching

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
    """An endless iterator over the batches of `mixed`, fetched in advance by background threads.

    Thread k of W acts as rank (rank · W + k) of (world · W) and the threads take turns, so the order of the batches
    depends on the arguments only. An error in a thread is raised by `next`. End it by `close`.
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
        """Start fetching. Arguments as in `mixed`; `workers` threads, 0 to fetch in the calling thread."""
        count = max(workers, 1)
        self._turn = start % count
        # Thread k fetches the batches k, k + W, …; (start - k + W - 1) // W of them precede `start`.
        batches = [
            mixed(sources, batch_size, size, seed, (start - k + count - 1) // count, rank * count + k, world * count)
            for k in range(count)
        ]
        self._workers = [start_fetching(stream, _AHEAD) for stream in batches[:workers]]
        self._streams = self._workers or batches

    def __next__(self) -> Batch:
        """Return the next batch."""
        turn, self._turn = self._turn, (self._turn + 1) % len(self._streams)
        return next(self._streams[turn])

    def close(self) -> None:
        """End the threads and drop the batches they fetched."""
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.join()
