"""Pairs on all cores: the same frames for any number of workers, in order, and no more held than needed."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from animeinterp import FrameError, Options, UsageError, draw_pairs, load_interpolator, pairs
from animeinterp.pairs import RUN_LIMITS, ModelChoice, PairDrawer, choose_workers
from animeinterp.runtime import machine
from conftest import draw_scene

FRAMES = [draw_scene(3 * k) for k in range(12)]


class Recorder:
    """An interpolator that returns frame 0 and records what it is asked for."""

    def __init__(self, log=None, failures=0, device="cpu"):
        self.options, self.device = Options(), SimpleNamespace(type=device)
        self.log = [] if log is None else log
        self.failures = failures

    def with_options(self, options):
        other = Recorder(self.log, self.failures, self.device.type)
        other.options = options
        return other

    def analyze(self, frame):
        self.log.append("analyze")
        return frame

    def motion(self, frame0, frame1):
        self.log.append("motion")
        if self.options.working_pixels > Options().working_pixels >> (2 * self.failures):
            raise MemoryError
        return frame0

    def render(self, motion, t):
        return motion


def cuda():
    return Recorder(device="cuda")


def consecutive(times=(0.5,), frames=FRAMES):
    return [(frame0, frame1, times) for frame0, frame1 in pairwise(frames)]


@pytest.mark.parametrize(("model", "count"), [("classical", 12), ("cel", 6)])
def test_frames_are_the_same_for_any_number_of_workers(model, count):
    given = consecutive((1 / 3, 0.5), FRAMES[:count])
    given[2] = (*given[2][:2], ())
    expected = list(draw_pairs(given, model=model, device="cpu", workers=1))
    assert [len(frames) for frames in expected] == [len(times) for *_, times in given]
    assert not np.array_equal(expected[0][0], expected[0][1])
    drawn = list(draw_pairs(given, model=model, device="cpu", workers=2))
    for frames, others in zip(drawn, expected, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frames, others, strict=True))


def test_a_loaded_interpolator_draws_in_this_process_or_is_sent():
    given, loaded = consecutive(frames=FRAMES[:2]), load_interpolator("classical", "cpu")
    (here,), (there,) = (list(draw_pairs(given, model=loaded, workers=workers)) for workers in (None, 2))
    assert np.array_equal(here, there)


def test_a_frame_that_two_pairs_share_is_analyzed_once():
    recorder = Recorder()
    list(draw_pairs(consecutive((0.25, 0.5)), model=recorder))
    assert (recorder.log.count("analyze"), recorder.log.count("motion")) == (12, 11)


def test_pairs_are_taken_when_they_are_drawn():
    taken = []
    drawn = draw_pairs((taken.append(k) or pair for k, pair in enumerate(consecutive())), model=Recorder())
    for k in range(11):
        next(drawn)
        assert len(taken) <= k + 2


def test_runs_send_each_frame_once_and_are_short():
    runs = list(pairs.group_runs(consecutive((0.5,)), RUN_LIMITS.pairs, RUN_LIMITS.idle_pairs))
    assert [len(run.pairs) for run in runs] == [4, 4, 3]
    assert [len(run.frames) for run in runs] == [5, 5, 4]
    many = list(pairs.group_runs(consecutive((0.5,) * 10), RUN_LIMITS.pairs, RUN_LIMITS.idle_pairs))
    assert {len(run.pairs) for run in many} == {1}
    idle = list(pairs.group_runs(consecutive(()) * 3, RUN_LIMITS.pairs, RUN_LIMITS.idle_pairs))
    assert [len(run.pairs) for run in idle] == [8, 8, 8, 8, 1]
    assert not any(run.frames for run in idle)


def test_where_memory_runs_out_the_number_is_reported():
    with PairDrawer(Recorder(failures=2), 1, automatic=False) as drawer:
        list(drawer.draw(consecutive(frames=FRAMES[:3])))
    assert drawer.shrunk == 2


def test_an_error_comes_after_the_pairs_before_it():
    given = [*consecutive(frames=FRAMES[:3]), (FRAMES[0], FRAMES[1][:-1], [0.5])]
    drawn = draw_pairs(given, model=Recorder())
    assert len([next(drawn), next(drawn)]) == 2
    with pytest.raises(FrameError, match="frame 1 of pair 2"):
        next(drawn)


def test_mistaken_calls_are_refused():
    with pytest.raises(UsageError, match="at least 1 worker"):
        draw_pairs([], workers=0)
    with pytest.raises(UsageError, match="time t"):
        list(draw_pairs([(*FRAMES[:2], [1.5])], model=Recorder()))
    with pytest.raises(UsageError, match="sent to worker processes"):
        PairDrawer(lambda: Recorder(), 2, automatic=False)
    assert list(draw_pairs([])) == []


def test_there_are_as_many_workers_as_cores_memory_and_work_for_them(monkeypatch):
    memory = 64_000_000_000
    monkeypatch.setattr(pairs, "available_cores", lambda: 16)
    monkeypatch.setattr(pairs, "available_memory", lambda: memory)
    fast = ModelChoice("cel-fast")
    assert choose_workers(fast, 960 * 540) == 16
    assert choose_workers(fast, 960 * 540, pairs=9) == 2
    assert choose_workers(fast, 96 * 64, pairs=100) == 1
    assert choose_workers(Recorder(), 960 * 540) == 1
    memory = 4_000_000_000
    assert 1 < choose_workers(fast, 1920 * 1080) < 6
    assert choose_workers(fast, 7680 * 4320) == 1
    memory = None
    assert choose_workers(fast, 1920 * 1080) == 16


def test_few_workers_share_a_gpu_unless_their_number_is_given():
    for automatic, size in ((True, RUN_LIMITS.gpu_workers), (False, 8)):
        with PairDrawer(cuda, 8, automatic=automatic) as drawer:
            assert list(drawer.draw([])) == []
            assert drawer._pool.size == size


def test_workers_take_devices_in_turn():
    given = consecutive(frames=FRAMES[:9])
    several = list(draw_pairs(given, model="classical", device="cpu,cpu:0", workers=2))
    for frames, others in zip(several, draw_pairs(given, model="classical", device="cpu", workers=1), strict=True):
        assert np.array_equal(frames[0], others[0])
    with pytest.raises(UsageError, match="devices of one type"):
        list(draw_pairs(given, model="classical", device="cpu,cuda:0", workers=2))


def test_a_container_limits_cores_and_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    cores, memory = machine.available_cores(), machine.available_memory()
    assert cores >= 1
    assert memory is None or memory > 10_000_000
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert machine.available_cores() == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.available_cores() == cores
    (tmp_path / "memory.max").write_text("1001000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    if machine._read(machine.Path("/proc/meminfo")):
        assert machine.available_memory() == 1_000_000
