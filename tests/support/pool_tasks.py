"""Tasks for worker processes, which import them by name."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from pathlib import Path

from animeinterp.errors import CacheWarning, FileError, FrameError


def no_state():
    return None


def numbered():
    return {"calls": 0}


def refuse():
    raise FrameError("the setup refuses")


def end_first_process(folder, number):
    if not list(Path(folder).iterdir()):
        (Path(folder) / "tried").touch()
        os.kill(os.getpid(), number)


def ignore_termination(state, seconds):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(seconds)


class TerminatedInDel:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)


def end_within_del(state, folder):
    if not list(Path(folder).iterdir()):
        (Path(folder) / "tried").touch()
        TerminatedInDel()
        return "went on"
    return "done again"


def write_until_terminated(state, path):
    try:
        Path(path).touch()
        time.sleep(60)
    finally:
        Path(path).unlink()


def leave():
    os._exit(3)


def warn_at_start():
    warnings.warn("the cache is elsewhere", CacheWarning, stacklevel=1)


def square(state, number):
    time.sleep(0.02 * (number % 3))
    return number * number


def count_calls(state, _):
    state["calls"] += 1
    return state["calls"], os.getpid()


def add_in_place(state, array):
    array += 1
    return array


def two_triplets(seeds):
    from animeinterp.data.types import Triplet
    from conftest import draw_scene

    return [Triplet(*(draw_scene(shift + seeds[1], (160, 112)) for shift in (0, 4, 8)), 0.5) for _ in range(2)]


def own_pid(state):
    return os.getpid()


def fail(state, number):
    if number == 3:
        raise FileError("the disk is full")
    return number


def fail_unpicklably(state, _):
    error = ValueError("cannot travel")
    error.lock = threading.Lock()
    raise error


def return_unpicklable(state, _):
    return threading.Lock()


def sleep(state, seconds):
    time.sleep(seconds)
    return seconds


def end_by_itself(state, folder, times):
    """End the process in the middle of the task, `times` times; then return how often it was tried."""
    attempts = len(list(Path(folder).iterdir()))
    (Path(folder) / str(attempts)).touch()
    if attempts < times:
        if hasattr(signal, "SIGKILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(9)
    return attempts + 1


def thread_limits(state, _):
    return os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def memory_kept(state, _):
    """Bytes that freed arrays still take after some rounds in which small objects lie between them."""
    small = []

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    for _ in range(3):
        large = []
        for _ in range(10):
            large.append(b"x" * (8 << 20))
            small.append(b"x" * (200 << 10))
        del large
    return resident() - before


def reported_pid(state, _):
    time.sleep(0.1)
    return os.getpid()
