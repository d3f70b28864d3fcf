"""Batches from several sources, prefetched by threads; the same batches for the same seed and step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from animeinterp.data.types import Batch
from animeinterp.runtime.prefetch import start_fetching

_PREFETCHED = 2  # batches per thread


class Source(Protocol):
    """A source of training samples."""

    def batches(self, batch_size: int, size: int, seed: int, *, start: int, rank: int, world: int) -> Iterator[Batch]:
        """Iterate over batches, endlessly. They depend on the arguments only.

        Args:
            batch_size: Samples per batch.
            size: Side of a sample, px.
            seed: Seed of everything random.
            start: Number of the first batch.
            rank: Number of this process; each gets different samples.
            world: Number of processes.
        """
        ...


def mix_batches(
    sources: Sequence[tuple[Source, float]], batch_size: int, size: int, seed: int, start: int, rank: int, world: int
) -> Iterator[Batch]:
    """Iterate over batches, endlessly, each from one of the (source, weight) pairs, drawn by weight.

    The other arguments are those of `Source.batches`.
    """
    rng = np.random.default_rng([seed, rank])
    ends = np.cumsum([weight for _, weight in sources])
    edges = ends[:-1] / ends[-1]
    past = np.searchsorted(edges, rng.random(start), side="right")
    streams = [
        source.batches(batch_size, size, seed, start=int((past == index).sum()), rank=rank, world=world)
        for index, (source, _) in enumerate(sources)
    ]
    while True:
        yield next(streams[int(np.searchsorted(edges, rng.random(), side="right"))])


class Prefetcher:
    """An endless iterator over the batches of `mix_batches`, fetched in advance by background threads.

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
        """Start fetching. Arguments as in `mix_batches`; `workers` threads, 0 to fetch in the calling thread."""
        count = max(workers, 1)
        self._turn = start % count
        # Thread k fetches the batches k, k + W, …; (start - k + W - 1) // W of them precede `start`.
        streams = [
            mix_batches(
                sources, batch_size, size, seed, (start - k + count - 1) // count, rank * count + k, world * count
            )
            for k in range(count)
        ]
        self._workers = [start_fetching(stream, _PREFETCHED) for stream in streams[:workers]]
        self._streams = self._workers or streams

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
