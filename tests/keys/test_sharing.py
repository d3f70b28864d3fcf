from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from animeinterp.frame import Mode
from animeinterp.io.images import write_image
from animeinterp.keys.job import draw_keys
from animeinterp.keys.many_times import Share, draw_many, is_many
from animeinterp.keys.plan import Inbetween, PlannedPair
from animeinterp.keys.result_folder import DrawingTask
from animeinterp.keys.settings import KeySettings
from animeinterp.keys.sharing import choose_key_workers, run_length, share
from animeinterp.pairs import ModelChoice
from conftest import draw_scene
from support.stub import Blender, load_blender

HD = 1920 * 1080


def tasks(*counts):
    return [
        DrawingTask(
            PlannedPair(
                "A",
                Path(f"{k}.png"),
                Path(f"{k + 1}.png"),
                (f"{k}.png", f"{k + 1}.png"),
                tuple(Inbetween(f"{k}_{i}.png", Fraction(i, count + 1)) for i in range(1, count + 1)),
            ),
            Mode(color=True, alpha=False, depth=8),
        )
        for k, count in enumerate(counts)
    ]


def drawings(of):
    return [drawing for task in of for drawing in task.pair.inbetweens]


def test_a_long_pair_is_cut_and_the_order_stays():
    given = tasks(3, 40, 1)
    shared = share(given, 4)
    assert drawings(shared) == drawings(given)
    assert [len(task.pair.inbetweens) for task in shared] == [3, 11, 11, 11, 7, 1]
    assert share(given, 1) == given
    assert share(tasks(3, 3, 3), 8) == tasks(3, 3, 3), "short pairs are not cut"


def test_every_process_gets_a_run():
    assert [run_length(tasks(*[1] * pairs), 4) for pairs in (1, 4, 7, 8, 40)] == [1, 1, 1, 2, 4]


def test_processes_are_as_many_as_the_work_is_worth(monkeypatch):
    monkeypatch.setattr("animeinterp.pairs.available_cores", lambda: 8)
    monkeypatch.setattr("animeinterp.pairs.available_memory", lambda: None)
    choice = ModelChoice("classical")
    assert choose_key_workers(choice, 640 * 360, tasks(1, 1, 1)) == 1
    assert choose_key_workers(choice, HD, tasks(3, 3, 3)) == 3
    assert choose_key_workers(choice, HD, tasks(64)) == 8


def test_many_counts_pixels():
    small, large = (np.zeros((*size, 3), np.uint8) for size in ((540, 960), (1080, 1920)))
    assert [is_many(small, count) for count in (5, 19, 20)] == [False, False, True]
    assert is_many(large, 5)


def test_shares_of_many_times_come_in_order():
    pair = Share(draw_scene(0), draw_scene(8), None, tuple(Fraction(k, 6) for k in range(1, 6)))
    alone = list(draw_many(load_blender, Blender(), pair, 1))
    shared = list(draw_many(load_blender, None, pair, 2))
    assert [(one == two).all() for (one, _), (two, _) in zip(alone, shared, strict=True)] == [True] * 5
    assert [doubtful for _, doubtful in shared] == [True] * 5


def test_keys_are_the_same_from_any_number_of_processes(tmp_path):
    (tmp_path / "keys").mkdir()
    for number, shift in ((1, 0), (12, 8), (14, 10)):
        write_image(tmp_path / f"keys/A{number}.png", draw_scene(shift))
    for workers in (1, 2):
        settings = KeySettings(review=False)
        draw_keys([tmp_path / "keys"], tmp_path / str(workers), settings, model=load_blender, workers=workers)
    for number in range(1, 15):
        one, two = (tmp_path / str(workers) / f"A{number}.png" for workers in (1, 2))
        assert one.read_bytes() == two.read_bytes()
