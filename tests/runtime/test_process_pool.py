"""Worker processes: order, a bounded number in flight, processes that die, errors in their place, and no leftovers."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from animeinterp.errors import AnimeInterpError, CacheWarning, FileError, FrameError
from animeinterp.runtime.machine import has_huge_pages
from animeinterp.runtime.process_pool import ProcessPool
from support import pool_tasks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pool():
    with ProcessPool(pool_tasks.numbered, 2) as pool:
        yield pool
    assert not multiprocessing.active_children()


def is_alive(pid):
    """Return whether a process runs; one that has ended but was not waited for does not."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def ended(pids, seconds=10):
    end = time.monotonic() + seconds
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_alive, pids))


def test_results_come_in_the_order_of_the_tasks(pool):
    assert list(pool.map(pool_tasks.square, range(20))) == [k * k for k in range(20)]


def test_a_bounded_number_of_tasks_is_in_flight(pool):
    taken, most, received = 0, 0, 0

    def tasks():
        nonlocal taken
        for k in range(30):
            taken += 1
            yield k

    for _ in pool.map(pool_tasks.square, tasks()):
        most = max(most, taken - received)
        received += 1
    assert (received, taken) == (30, 30)
    assert 2 <= most <= 2 * pool.size


def test_each_process_keeps_its_state(pool):
    calls = list(pool.map(pool_tasks.count_calls, range(8)))
    pids = {pid for _, pid in calls}
    assert os.getpid() not in pids
    for pid in pids:
        own = [count for count, other in calls if other == pid]
        assert own == list(range(own[0], own[0] + len(own)))


def test_an_error_of_a_task_is_raised_in_its_place_and_the_others_work_on(pool):
    results = pool.map(pool_tasks.fail, range(6))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(FileError, match="the disk is full") as raised:
        next(results)
    assert "pool_tasks.py" in str(raised.value.__cause__)
    assert pool.call(pool_tasks.square, 5) == 25


def test_an_error_of_the_tasks_comes_after_the_results_before_it(pool):
    def tasks():
        yield from range(3)
        raise FileError("the film ends here")

    results = pool.map(pool_tasks.square, tasks())
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(FileError, match="ends here"):
        next(results)


def test_what_cannot_be_pickled_is_an_error_not_a_hang(pool):
    with pytest.raises(RuntimeError, match="ValueError: cannot travel"):
        pool.call(pool_tasks.fail_unpicklably, 0)
    with pytest.raises(TypeError, match="pickle"):
        pool.call(pool_tasks.return_unpicklable, 0)
    with pytest.raises(TypeError, match="pickle"):
        pool.call(pool_tasks.square, threading.Lock())
    assert pool.call(pool_tasks.square, 3) == 9


def test_processes_use_one_thread_and_leave_ctrl_c_to_the_parent(pool):
    assert pool.call(pool_tasks.thread_limits, 0) == ("1", True)


@pytest.mark.skipif(not has_huge_pages() or "glibc" not in platform.libc_ver(), reason="a setting of glibc")
def test_processes_give_freed_memory_back(monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    with ProcessPool(pool_tasks.no_state, 1) as pool:
        assert pool.call(pool_tasks.memory_kept, 0) < 20_000_000
    assert "GLIBC_TUNABLES" not in os.environ
    own = "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=1073741824"
    monkeypatch.setenv("GLIBC_TUNABLES", own)  # the user's
    with ProcessPool(pool_tasks.no_state, 1) as pool:
        assert pool.call(pool_tasks.memory_kept, 0) > 20_000_000


def test_the_task_of_a_killed_process_is_done_again(pool, tmp_path):
    assert pool.call(pool_tasks.end_by_itself, tmp_path, 2) == 3


def test_a_task_that_kills_three_processes_is_an_error(pool, tmp_path):
    with pytest.raises(AnimeInterpError, match=r"3 times over the same task.*--workers"):
        pool.call(pool_tasks.end_by_itself, tmp_path, 99)
    assert len(list(tmp_path.iterdir())) == 3
    assert pool.call(pool_tasks.square, 4) == 16


def test_a_process_killed_from_outside_is_replaced(pool):
    future = pool.submit(pool_tasks.sleep, 0.5)
    time.sleep(0.2)
    for process in multiprocessing.active_children():
        process.kill()
    assert future.result(10) == 0.5


def test_an_error_of_the_setup_is_raised():
    with ProcessPool(pool_tasks.refuse, 1) as pool, pytest.raises(FrameError, match="the setup refuses"):
        pool.call(pool_tasks.square, 1)


def test_a_process_that_cannot_start_is_an_error_at_once():
    with ProcessPool(pool_tasks.leave, 1) as pool, pytest.raises(AnimeInterpError, match=r"exit code 3.*__main__"):
        pool.call(pool_tasks.square, 1)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="exit codes do not tell of signals")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_process_killed_while_it_starts_is_replaced(tmp_path, name):
    with ProcessPool(partial(pool_tasks.end_first_process, tmp_path, getattr(signal, name)), 1) as pool:
        assert pool.call(pool_tasks.square, 3) == 9
    assert (tmp_path / "tried").exists()


def test_a_warning_of_several_processes_is_given_once():
    with ProcessPool(pool_tasks.warn_at_start, 2) as pool, pytest.warns(CacheWarning, match="elsewhere") as given:
        list(pool.map(pool_tasks.square, range(6)))
    assert len(given) == 1


def test_closing_ends_processes_in_the_middle_of_a_task():
    with ProcessPool(pool_tasks.no_state, 2) as pool:
        pids = {pool.call(pool_tasks.own_pid) for _ in range(2)}
        for _ in range(6):
            pool.submit(pool_tasks.sleep, 60)
        time.sleep(0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert not pids & {process.pid for process in multiprocessing.active_children()}


@pytest.mark.skipif(os.name != "posix", reason="other systems always kill")
def test_closing_ends_a_process_that_does_not_react():
    with ProcessPool(pool_tasks.no_state, 1) as pool:
        pid = pool.call(pool_tasks.own_pid)
        pool.submit(pool_tasks.ignore_termination, 60)
        time.sleep(0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert not is_alive(pid)


@pytest.mark.skipif(os.name != "posix", reason="other systems always kill")
def test_a_process_ends_where_nothing_can_be_raised(pool, tmp_path):
    assert pool.call(pool_tasks.end_within_del, tmp_path) == "done again"


@pytest.mark.skipif(os.name != "posix", reason="other systems always kill")
def test_closing_lets_a_process_remove_half_written_files(tmp_path):
    path = tmp_path / "half"
    with ProcessPool(pool_tasks.no_state, 1) as pool:
        pool.submit(pool_tasks.write_until_terminated, path)
        end = time.monotonic() + 20
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize("guarded", [True, False])
def test_a_script_that_starts_workers_at_once_is_told_to_guard_it(tmp_path, guarded):
    body = "with ProcessPool(pool_tasks.no_state, 2) as pool:\n        print(pool.call(pool_tasks.square, 3))\n"
    condition = '__name__ == "__main__"' if guarded else "True"
    imports = "from animeinterp.runtime.process_pool import ProcessPool\nfrom support import pool_tasks\n"
    (tmp_path / "program.py").write_text(f"{imports}if {condition}:\n    {body}", encoding="utf-8")
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": path},
        timeout=30,
    )
    assert done.stdout == ("9\n" if guarded else "")
    assert "do its work under `if __name__" in done.stderr.splitlines()[-1] if done.stderr else guarded


PROGRAM = """
import sys
from animeinterp.runtime.process_pool import ProcessPool
from support import pool_tasks

if __name__ == "__main__":
    with ProcessPool(pool_tasks.no_state, 2) as pool:
        pids = set()
        while len(pids) < 2:
            pids |= set(pool.map(pool_tasks.reported_pid, range(4)))
        print(*pids, flush=True)
        list(pool.map(pool_tasks.sleep, [60] * 8))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals to other processes")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_no_process_outlives_its_parent(tmp_path, name):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    running = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
    )
    pids = [int(word) for word in running.stdout.readline().split()]
    time.sleep(0.2)
    if name == "SIGINT":
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    else:
        running.kill()
    errors = running.communicate(timeout=20)[1]
    assert len(pids) == 2
    assert ended(pids)
    assert "resource_tracker" not in errors
    assert errors.count("Traceback") == (name == "SIGINT"), errors
