"""The background worker: order, bounds, errors and the end, from both sides of the queue."""

import random
import signal
import sys
import threading

import pytest

from animeinterp.errors import FileError
from animeinterp.runtime.worker import QueueClosed, Worker


def put_all(worker, items):
    for item in items:
        worker.put(item)


def test_items_put_by_the_caller_reach_the_thread_in_order():
    received = []
    worker = Worker(2, received.extend)
    put_all(worker, range(20))
    worker.finish()
    assert received == list(range(20))


def test_an_error_in_the_thread_is_raised_by_put_even_if_the_queue_is_full():
    release = threading.Event()

    def work(items):
        next(items)
        release.wait(5)
        raise FileError("the disk is full")

    worker = Worker(1, work)
    worker.put(0)
    threading.Timer(0.1, release.set).start()
    with pytest.raises(FileError, match="full"):
        put_all(worker, range(3))
    with pytest.raises(FileError, match="full"):
        worker.finish()


def test_closing_delivers_what_is_queued_and_refuses_more():
    worker = Worker(4, lambda worker: None)
    worker.join()
    with pytest.raises(QueueClosed):
        worker.put(0)
    worker = Worker(4, lambda worker: [worker.put(item) for item in range(3)])
    worker.join()
    assert list(worker) == [0, 1, 2]


def test_a_thread_that_waits_for_room_ends_when_the_caller_closes():
    ended = threading.Event()

    def work(worker):
        try:
            while True:
                worker.put(0)
        finally:
            ended.set()

    worker = Worker(1, work)
    next(worker)
    worker.close()
    worker.join()
    assert ended.is_set()
    worker.finish()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that send signals")
def test_an_exception_of_a_signal_handler_leaves_no_thread_waiting():
    class Stopped(BaseException):
        pass

    def stop(*_):
        raise Stopped

    def put_forever(worker):
        while True:
            worker.put(0)

    def drop_all(worker):
        for _ in worker:
            pass

    interval, before, rng = sys.getswitchinterval(), signal.signal(signal.SIGALRM, stop), random.Random(0)
    sys.setswitchinterval(1e-5)
    try:
        for number in range(300):
            worker = Worker(2, drop_all if number % 2 else put_forever)
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, 0.001))
                (put_forever if number % 2 else drop_all)(worker)
            except Stopped:
                worker.close()
            worker._thread.join(10)
            assert not worker._thread.is_alive()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.setswitchinterval(interval)
        signal.signal(signal.SIGALRM, before)
