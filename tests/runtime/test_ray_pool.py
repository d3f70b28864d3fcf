"""Workers of a Ray cluster of two machines, both on this one: order, lost machines, errors and the same bytes.

Ray does not run on every system and version of Python; there these tests are skipped.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from animeinterp import Options, RayWorkers, VideoOptions, draw_pairs, interpolate_video, load_interpolator
from animeinterp.cli import main
from animeinterp.data.atd12k import list_triplets
from animeinterp.data.crops import write_crops
from animeinterp.data.labels import Labels
from animeinterp.data.sgm_flows import write_flows
from animeinterp.errors import AnimeInterpError, DeviceWarning, FileError, FrameError, MissingExtraError, UsageError
from animeinterp.evaluation import evaluate as evaluate_module
from animeinterp.io.images import write_image
from animeinterp.pairs import ModelChoice
from animeinterp.runtime import ray_cluster
from animeinterp.runtime.pools import check_workers, map_in_workers
from animeinterp.runtime.ray_cluster import RayCluster, TaskNeeds
from conftest import draw_scene
from support import pool_tasks
from support.films import make_film

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
pytest.importorskip("ray", reason="needs Ray: pip install 'animeinterp[cluster]'")
if sys.platform == "win32":
    pytest.skip("Ray supports several machines on one computer only on Linux and macOS", allow_module_level=True)

from animeinterp.runtime.ray_pool import RayPool

STORE = 80 << 20  # bytes of each machine's object store, Ray's minimum


@pytest.fixture(scope="module")
def machines():
    """A cluster whose head has one core, and which can be given further machines."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        # Ray's workers get their path from the environment, unlike those that Python itself starts.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
        cluster = Cluster(initialize_head=True, head_node_args=head)
        yield cluster
        cluster.shutdown()


def test_signals_stay_with_the_program_and_nothing_is_left_connected(machines):
    import ray

    assert not ray.is_initialized()
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with RayCluster(RayWorkers(machines.address)):
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            assert ray.is_initialized()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def workers(machines):
    """Both machines. The connection stays open, so that workers are started once."""
    machines.add_node(num_cpus=1, object_store_memory=STORE)
    workers = RayWorkers(machines.address)
    with RayCluster(workers):
        yield workers


@pytest.fixture
def pool(workers):
    with RayPool(RayCluster(workers), pool_tasks.numbered) as pool:
        yield pool


def test_results_come_in_order_from_both_machines_and_few_are_in_flight(pool):
    taken = 0

    def tasks():
        nonlocal taken
        for k in range(12):
            taken += 1
            yield k

    results = []
    for result in pool.map(pool_tasks.square, tasks()):
        results.append(result)
        assert taken - len(results) < pool.room
    assert results == [k * k for k in range(12)]
    assert pool.room == 4


def test_errors_come_in_their_place_and_warnings_once(pool, workers):
    results = pool.map(pool_tasks.fail, range(6))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(FileError, match="the disk is full") as raised:
        next(results)
    assert "pool_tasks.py" in str(raised.value.__cause__)
    with pytest.raises(RuntimeError, match="ValueError: cannot travel"):
        pool.call(pool_tasks.fail_unpicklably, 0)
    with pytest.raises(UsageError, match="sent to a cluster"):
        pool.call(pool_tasks.square, threading.Lock())
    assert pool.call(pool_tasks.thread_limits, 0)[0] == "1"
    with RayPool(RayCluster(workers), pool_tasks.refuse) as other, pytest.raises(FrameError, match="the setup refuses"):
        other.call(pool_tasks.square, 1)


def test_a_task_whose_worker_ends_is_repeated_but_not_for_ever(pool, tmp_path):
    assert pool.call(pool_tasks.end_by_itself, tmp_path, 2) == 3
    (tmp_path / "more").mkdir()
    with pytest.raises(AnimeInterpError, match="lost 5 times over the same task"):
        pool.call(pool_tasks.end_by_itself, tmp_path / "more", 99)
    assert len(list((tmp_path / "more").iterdir())) == ray_cluster.RETRIES + 1


def test_arrays_can_be_written_to_on_both_sides(pool):
    result = pool.call(pool_tasks.add_in_place, np.zeros((200, 300, 3), np.uint8))
    result += 1
    assert (result == 2).all()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Make a new film of a film of two shots; `film.expected` is what one process makes."""
    folder = tmp_path_factory.mktemp("film")
    make_film(folder / "a.mkv", [draw_scene(4 * k) for k in range(7)] + [255 - draw_scene(k) for k in range(5)])

    def make(target, where, report=None, **options):
        choice, options = ModelChoice("classical", "cpu"), VideoOptions(fps="60", workers=where, **options)
        interpolate_video(folder / "a.mkv", folder / target, options, interpolator=choice, report=report)
        return (folder / target).read_bytes()

    make.expected = make("one.mkv", 1)
    return make


def test_a_film_has_the_same_bytes_though_a_machine_is_lost_in_mid_film(film, machines, workers):
    third = machines.add_node(num_cpus=1, object_store_memory=STORE)
    lost = []

    def lose(progress):
        if progress.drawn >= 4 and not lost:
            lost.append(progress.drawn)
            machines.remove_node(third, allow_graceful=False)

    assert film("ray.mkv", workers, lose) == film.expected
    assert lost


def test_a_film_begun_on_a_cluster_is_continued_without(film, workers, monkeypatch):
    from animeinterp.video.sink import segment_store

    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 4)
    monkeypatch.setattr(segment_store, "_SAVE_INTERVAL", 0.0)

    def stop(progress):
        if progress.frames >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film("b.mkv", workers, stop)
    assert film("b.mkv", 1, resume=True) == film("whole.mkv", 1)  # of segments as short


def test_models_are_sent_with_their_weights_and_one_precision(workers, tmp_path):
    """The weights are deleted before anything is drawn: no worker reads a file."""
    from animeinterp.weights.records import shipped_weights

    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(shipped_weights("cel").read_bytes())
    pairs = [(draw_scene(0), draw_scene(3), [0.5]), (draw_scene(3), draw_scene(6), [0.25])]
    expected = list(draw_pairs(pairs, model="cel-fast", device="cpu", workers=1))

    def deleting():
        yield pairs[0]
        weights.unlink()
        yield pairs[1]

    drawn = list(draw_pairs(deleting(), model="cel-fast", weights=weights, workers=replace(workers, count=1)))
    for frames, others in zip(drawn, expected, strict=True):
        assert all(np.array_equal(a, b) and a.flags.writeable for a, b in zip(frames, others, strict=True))


def test_what_a_machine_cannot_draw_alike_is_told(monkeypatch):
    from animeinterp import cluster

    model = cluster._pack_model(load_interpolator("cel-fast", "cpu"), "cpu", fast=False)
    assert model.interpolator.precision == "fp32"
    assert model().options == Options(precision="fp32")
    with pytest.warns(DeviceWarning, match="rounds differently"):
        replace(model, trial="another")()
    bf16 = cluster._pack_model(load_interpolator("cel-fast", "cpu"), "cpu", fast=True)
    assert bf16.interpolator.precision == "bf16"
    assert bf16.trial != model.trial
    monkeypatch.setattr(cluster, "has_fast_bf16", lambda device: False)
    with pytest.warns(DeviceWarning, match="slow with bfloat16"):
        bf16()


def test_another_version_on_a_machine_is_refused(workers, monkeypatch):
    from animeinterp import cluster

    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    with pytest.raises(AnimeInterpError, match=r"expected animeinterp 0\.0\.1 on all machines, found"):
        list(draw_pairs([(draw_scene(0), draw_scene(3), [0.5])], model="classical", workers=workers))


def test_items_are_mapped_by_the_same_call(workers):
    assert list(map_in_workers(partial(max, 3), range(6), workers)) == [3, 3, 3, 3, 4, 5]


def test_a_cluster_without_room_is_an_error_that_names_what_is_there(workers):
    with RayCluster(workers) as cluster:
        assert cluster.count_slots(TaskNeeds()) == 2
        assert cluster.count_slots(TaskNeeds(memory=10**15)) == 0
        with pytest.raises(AnimeInterpError, match=r"with 1 core, 0\.5 GPU for a worker, found .* with 1 cores"):
            cluster.check_room(TaskNeeds(gpus=0.5))
    for device in ("cuda", "mps", "cuda:0,cuda:1"):
        with pytest.raises(UsageError, match=r"--device"):
            list(draw_pairs([(draw_scene(0), draw_scene(3), [0.5])], device=device, workers=workers))


def test_mistaken_addresses_are_refused_at_once(monkeypatch):
    for address in ("", "nonsense", "ray://head:10001", "head:6379:1"):
        with pytest.raises(UsageError, match="auto or HOST:PORT"):
            check_workers(RayWorkers(address))
    with pytest.raises(UsageError, match="at least 1 worker"):
        check_workers(RayWorkers(count=0))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr("ray.is_initialized", lambda: False)
        began = time.monotonic()
        with pytest.raises(AnimeInterpError, match="no Ray cluster answers at"):
            RayCluster(RayWorkers(f"127.0.0.1:{free.getsockname()[1]}"))
        assert time.monotonic() - began < ray_cluster._CONNECT_PATIENCE
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'animeinterp\[cluster\]'"):
        check_workers(RayWorkers())


def make_triplets(folder, names="ab"):
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for frame in (1, 2, 3):
            write_image(folder / name / f"frame{frame}.png", draw_scene(number + 3 * frame, (144, 96)))
    (folder / "broken").mkdir()
    for frame in (1, 2, 3):
        (folder / "broken" / f"frame{frame}.png").write_bytes(b"no image")
    return folder


def test_triplets_are_scored_the_same_and_read_here_only(workers, tmp_path, monkeypatch):
    """A machine of a cluster could not change what this process reads."""
    folder, models = make_triplets(tmp_path / "set"), {"mine": ModelChoice("cel-fast", "cpu")}
    read, read_triplet = [], evaluate_module.read_triplet
    monkeypatch.setattr(evaluate_module, "read_triplet", lambda files: read.append(files.name) or read_triplet(files))
    there = evaluate_module.evaluate(folder, models, workers=workers)
    assert read == ["a", "b", "broken"]
    here = evaluate_module.evaluate(folder, models, workers=1)
    assert [fault.triplet for fault in there.faults] == ["broken"]
    assert [replace(row, seconds=None) for row in there.rows] == [replace(row, seconds=None) for row in here.rows]


def test_flows_are_the_same_and_written_here_only(workers, tmp_path):
    files = list_triplets(make_triplets(tmp_path / "set"))
    for name, where in (("one", 1), ("ray", workers)):
        results = list(write_flows(files, tmp_path / name, workers=where))
        assert [(done.written, bool(done.fault)) for done in results] == [(True, False), (True, False), (False, True)]
    for path in sorted((tmp_path / "one").rglob("*.npy")):
        assert path.read_bytes() == (tmp_path / "ray" / path.relative_to(tmp_path / "one")).read_bytes()


def test_crops_and_labels_are_the_same(workers, tmp_path):
    labels = Labels("classical", times=1, min_psnr=0)
    for name, where in (("one", 1), ("ray", workers)):
        list(write_crops(tmp_path / name, pool_tasks.two_triplets, 2, workers=where, size=64, labels=labels))
    for name in ("00000.safetensors", "00001.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["video", "{film}", "-o", "b.mkv", "--ray", "nonsense"], "auto or HOST:PORT"),
        (["video", "{film}", "-o", "b.mkv", "--ray", "auto", "--dry-run"], "leave out --ray"),
        (["evaluate", "{set}", "--ray", "127.0.0.1:1"], "no Ray cluster answers"),
        (["dataset", "flows", "{set}", "--ray", "127.0.0.1:1"], "no Ray cluster answers"),
        (["dataset", "crops", "{set}", "-o", "crops", "-n", "1", "--ray", "127.0.0.1:1"], "no Ray cluster answers"),
    ],
)
def test_the_command_line_tells_what_is_wrong(command, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    names = {"film": make_film(tmp_path / "a.mkv", [draw_scene(k) for k in range(4)]), "set": tmp_path / "set"}
    make_triplets(tmp_path / "set", "a")
    with pytest.raises(SystemExit) as left:
        main([part.format(**names) for part in command])
    assert left.value.code in (1, 2)
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "b.mkv").exists()
