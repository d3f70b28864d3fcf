"""Prefetching: items in order, a bounded queue, errors in their place, and a thread that ends."""

from __future__ import annotations

import threading

import pytest

from animeinterp import AnimeInterpError
from animeinterp.runtime.prefetch import prefetch


def test_all_items_come_in_order():
    fetched = []

    def items():
        for k in range(50):
            fetched.append(k)
            yield k

    stream = prefetch(items(), 4)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    assert list(stream) == list(range(3, 50))
    assert fetched == list(range(50))


def test_no_more_items_are_fetched_than_the_queue_holds():
    fetched = []
    stream = prefetch((fetched.append(k) or k for k in range(1000)), 4)
    for _ in range(10):
        next(stream)
    stream.close()
    assert len(fetched) <= 10 + 4 + 2


def test_an_error_of_the_thread_is_raised_in_its_place():
    def items():
        yield 1
        raise AnimeInterpError("broken")

    stream = prefetch(items(), 4)
    assert next(stream) == 1
    with pytest.raises(AnimeInterpError, match="broken"):
        next(stream)


def test_closing_ends_the_thread_and_closes_the_items():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    stream = prefetch(items(), 2)
    next(stream)
    stream.close()
    assert closed.wait(5)
    assert threading.active_count() == before
