"""Evaluation: the scores are those of the measures, whoever works; what cannot be read is told and left out."""

from __future__ import annotations

import json
import sys
import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from conftest import draw_scene

from animeinterp.cli import main
from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.evaluation.evaluate import beside, evaluate
from animeinterp.evaluation.metrics import psnr, ssim
from animeinterp.evaluation.scores import Scores, TripletScores, read_rows, summarize, write_rows
from animeinterp.picture import read_picture

NAMES = ("a", "b", "c", "d")


def blend(frame0, frame1, t):
    return np.rint((1 - t) * frame0 + t * frame1).astype(np.uint8)


def first(frame0, frame1, t):
    return frame0.copy()


@pytest.fixture
def dataset(tmp_path):
    """Four triplets, a to d; levels 0, 1, 1 and, without an annotation, none."""
    for k, name in enumerate(NAMES):
        folder, notes = tmp_path / "set" / name, tmp_path / "set_annotations" / name
        folder.mkdir(parents=True)
        for number in (1, 2, 3):
            frame = draw_scene(number * (k + 1))
            cv2.imwrite(str(folder / f"frame{number}.{'jpg' if name == 'b' else 'png'}"), frame[..., ::-1])
        if name != "d":
            notes.mkdir(parents=True)
            roi = {"x": 40, "y": 8, "width": 120, "height": 100}
            annotation = {"image_size": [192, 128], "motion_RoI": roi, "level": min(k, 1)}
            (notes / f"{name}.json").write_text(json.dumps(annotation))
    return tmp_path / "set"


def test_scores_are_those_of_the_measures(dataset):
    evaluation = evaluate(dataset, {"blend": blend})
    assert not evaluation.faults
    assert [row.level for row in evaluation.rows] == [0, 1, 1, None]
    for k in (0, 2):
        drawn, truth = blend(draw_scene(k + 1), draw_scene(3 * (k + 1)), 0.5), draw_scene(2 * (k + 1))
        row = evaluation.rows[k]
        assert row.whole == Scores(psnr(drawn, truth), ssim(drawn, truth))
        inside = np.s_[4:54, 20:80]
        assert row.roi == Scores(psnr(drawn[inside], truth[inside]), ssim(drawn[inside], truth[inside]))
        assert row.seconds >= 0
    assert evaluation.rows[3].roi is None


def test_means(dataset):
    evaluation = evaluate(dataset, {"blend": blend, "first": first})
    assert evaluation.models == ("blend", "first")
    rows = [row for row in evaluation.rows if row.model == "first"]
    summary = evaluation.summary("first")
    assert summary.count == 4
    assert summary.whole.psnr == pytest.approx(np.mean([row.whole.psnr for row in rows]))
    assert summary.levels[0] == rows[0].whole
    assert summary.levels[1].ssim == pytest.approx((rows[1].whole.ssim + rows[2].whole.ssim) / 2)
    assert summary.levels[2] is None
    assert summary.roi.psnr == pytest.approx(np.mean([row.roi.psnr for row in rows[:3]]))


def test_workers_do_not_change_the_scores(dataset):
    from animeinterp import load_interpolator

    models = {"classical": load_interpolator("classical", "cpu"), "blend": blend}
    alone, together = (evaluate(dataset, models, workers=workers).rows for workers in (1, 3))
    assert [(r.model, r.triplet, r.whole, r.roi) for r in alone] == [
        (r.model, r.triplet, r.whole, r.roi) for r in together
    ]


def test_each_worker_has_one_thread_and_the_caller_gets_his_back(dataset):
    counts = set()

    def look(frame0, frame1, t):
        counts.add(
            (threading.current_thread() is threading.main_thread(), cv2.getNumThreads(), torch.get_num_threads())
        )
        return frame0.copy()

    before = cv2.getNumThreads(), torch.get_num_threads()
    try:
        cv2.setNumThreads(2)
        torch.set_num_threads(2)
        evaluate(dataset, {"look": look}, workers=2)
        assert counts == {(False, 1, 1)}
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (2, 2)
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def test_faults_are_told_and_left_out_for_every_model(dataset):
    (dataset / "b" / "frame2.jpg").unlink()
    (dataset / "c" / "frame1.png").write_bytes((dataset / "c" / "frame1.png").read_bytes()[:200])
    (dataset.parent / "set_annotations" / "a" / "a.json").write_text("{}")
    evaluation = evaluate(dataset, {"blend": blend, "first": first})
    assert [(row.model, row.triplet) for row in evaluation.rows] == [("blend", "d"), ("first", "d")]
    assert [fault.triplet for fault in evaluation.faults] == ["a", "b", "c"]
    for fault, said in zip(evaluation.faults, ("no annotation", "no frame2", "damaged"), strict=True):
        assert said in fault.reason


def test_a_frame_of_the_wrong_size_is_a_fault_and_a_mistake_is_raised(dataset):
    assert len(evaluate(dataset, {"half": lambda a, b, t: a[::2]}).faults) == 4

    def fail(frame0, frame1, t):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate(dataset, {"fail": fail})


def test_a_roi_too_small_for_ssim_is_a_fault():
    frame = np.zeros((10, 40, 3), np.uint8)
    with pytest.raises(FrameError, match="11x11"):
        ssim(frame, frame)


def test_csv_is_read_back_as_written(tmp_path, dataset):
    rows = evaluate(dataset, {"blend": blend}).rows
    write_rows(tmp_path / "scores.csv", rows)
    assert tuple(read_rows(tmp_path / "scores.csv")) == rows
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_csv_that_holds_no_scores_is_refused(tmp_path):
    for text in ("model,triplet\nx,a\n", "model,triplet,psnr,ssim\nx,a,good,0.9\n", "model,psnr,ssim\nx,1,1\n"):
        (tmp_path / "peers.csv").write_text(text)
        with pytest.raises(FileError, match="expected the columns"):
            read_rows(tmp_path / "peers.csv")
    with pytest.raises(FileError, match="cannot read"):
        read_rows(tmp_path / "missing.csv")


def test_peers_are_compared_on_the_same_triplets_and_levels(dataset):
    evaluation = evaluate(dataset, {"blend": blend})
    names = (*NAMES, "elsewhere")
    full = [TripletScores("full", name, 2, Scores(10 + k, 0.5)) for k, name in enumerate(names)]
    part = [TripletScores("part", name, 2, Scores(20, 0.5)) for name in names[1:]]
    summaries, incomplete = beside(evaluation, full + part)
    levels = zip(NAMES, (0, 1, 1, None), full, strict=False)
    assert summaries == [
        summarize("full", [TripletScores("full", name, level, row.whole) for name, level, row in levels])
    ]
    assert summaries[0].whole.psnr == 11.5
    assert incomplete == {"part": 3}


@pytest.fixture
def core(monkeypatch):
    """Models that are at hand at once; what was loaded is kept in `loaded`."""
    loaded = []

    def load_interpolator(model="default", device="auto", **options):
        loaded.append((model, device, options))
        return first if options["weights"] else blend

    monkeypatch.setitem(sys.modules, "animeinterp.interpolator", SimpleNamespace(load_interpolator=load_interpolator))
    return loaded


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main(["evaluate", *map(str, arguments)])
    return left.value.code


def test_command_line(dataset, core, capsys, tmp_path):
    peers = tmp_path / "peers.csv"
    peers.write_text("peer,triplet,level,psnr,ssim\n" + "".join(f"rife,{name},2,33.333,0.95\n" for name in NAMES))
    target = tmp_path / "scores.csv"
    assert run(dataset, "--model", "classical", "--peers", peers, "--csv", target, "--save", tmp_path / "drawn") == 0
    out = capsys.readouterr().out
    summary = evaluate(dataset, {"blend": blend}).summary("blend")
    assert f"{summary.whole.psnr:.2f}" in out
    assert f"{summary.roi.ssim:.4f}" in out
    assert "33.33" in out
    assert "1 of 4 triplets have no annotation" in out
    assert [row.triplet for row in read_rows(target)] == list(NAMES)
    assert run(dataset, "--model", "classical", "--peers", target) == 0
    assert "scores.csv)" in capsys.readouterr().out, "an older run of the same model is told apart"
    drawn = read_picture(tmp_path / "drawn" / "classical" / "c.png", 10**6).pixels
    assert np.array_equal(drawn, blend(draw_scene(3), draw_scene(9), 0.5))


def test_several_models_each_with_its_weights(dataset, core, capsys, tmp_path):
    specs = ("paper=x/one.ckpt", "paper=two.ckpt", "default")
    assert (
        run(dataset, "--csv", tmp_path / "s.csv", "--device", "cpu", *(a for s in specs for a in ("--model", s))) == 0
    )
    models = list(dict.fromkeys(row.model for row in read_rows(tmp_path / "s.csv")))
    assert models[:2] == ["paper-one", "paper-two"]
    assert [str(options["weights"]) for _, _, options in core] == ["x/one.ckpt", "two.ckpt", "None"]
    assert {device for _, device, _ in core} == {"cpu"}


def test_one_model_with_weights(dataset, core, tmp_path):
    assert run(dataset, "--model", "paper", "--weights", "w.ckpt") == 0
    assert core[0][0] == "paper"
    assert str(core[0][2]["weights"]) == "w.ckpt"
    for models in (["paper", "classical"], ["paper=v.ckpt"], ["paper=w.ckpt", "paper=w.ckpt"]):
        weights = [] if models[-1] == "paper=w.ckpt" else ["--weights", "w.ckpt"]
        assert run(dataset, *weights, *(a for m in models for a in ("--model", m))) == 2


def test_bad_triplets_end_in_an_exit_code(dataset, core, capsys):
    (dataset / "b" / "frame2.jpg").unlink()
    assert run(dataset) == 1
    streams = capsys.readouterr()
    assert "Means over 3 triplets" in streams.out
    assert "skipped b: " in streams.err
    assert "error: 1 of 4 triplets were skipped" in streams.err


def test_nothing_is_overwritten_and_it_is_found_out_before_the_work(dataset, core, tmp_path, capsys):
    (tmp_path / "s.csv").write_text("precious")
    assert run(dataset, "--csv", tmp_path / "s.csv") == 2
    assert run(dataset, "--csv", tmp_path / "nowhere" / "s.csv") == 1
    (tmp_path / "drawn" / "classical").mkdir(parents=True)
    (tmp_path / "drawn" / "classical" / "d.png").write_text("precious")
    assert run(dataset, "--model", "classical", "--save", tmp_path / "drawn") == 2
    assert core == []
    assert (tmp_path / "s.csv").read_text() == "precious"
    assert (
        run(dataset, "--model", "classical", "--csv", tmp_path / "s.csv", "--save", tmp_path / "drawn", "--force") == 0
    )


def test_a_folder_of_another_layout(dataset, core, capsys):
    assert run(dataset.parent) == 2
    assert "expected NAME/frame1.png" in capsys.readouterr().err
    with pytest.raises(UsageError):
        evaluate(dataset.parent, {"blend": blend})
