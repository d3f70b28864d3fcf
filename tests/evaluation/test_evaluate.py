"""Evaluation: scores, means, predictions, the CSV, the folder of results, and the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from animeinterp.cli import main
from animeinterp.data.atd12k import FLOW_NAMES, list_triplets
from animeinterp.data.layout import flows_folder
from animeinterp.data.sgm_flows import write_flows
from animeinterp.errors import FileError, FrameError, MissingExtraError, UsageError
from animeinterp.evaluation.evaluate import Evaluation, Fault, compare_with_peers, evaluate, score
from animeinterp.evaluation.scores import COLUMNS, TripletScores, read_rows, summarize, write_rows
from animeinterp.io.images import read_image
from animeinterp.metrics.image import measure, ssim
from animeinterp.metrics.scores import Scores
from conftest import draw_scene

NAMES = ("a", "b", "c", "d")


def blend(frame0, frame1, t):
    return np.rint((1 - t) * frame0 + t * frame1).astype(np.uint8)


def first(frame0, frame1, t):
    return frame0.copy()


def predict(folder, names=NAMES):
    """Write another program's frames, the average of frames 1 and 3, as NAME.png."""
    folder.mkdir()
    for name in names:
        k = NAMES.index(name) + 1
        cv2.imwrite(str(folder / f"{name}.png"), blend(draw_scene(k), draw_scene(3 * k), 0.5)[..., ::-1])
    return folder


@pytest.fixture
def dataset(tmp_path):
    """Four triplets, a to d; levels 0, 1, 1 and none, without an annotation; words as in test_means_by_word."""
    for k, name in enumerate(NAMES):
        folder, notes = tmp_path / "set" / name, tmp_path / "set_annotations" / name
        folder.mkdir(parents=True)
        for number in (1, 2, 3):
            frame = draw_scene(number * (k + 1))
            cv2.imwrite(str(folder / f"frame{number}.{'jpg' if name == 'b' else 'png'}"), frame[..., ::-1])
        if name != "d":
            notes.mkdir(parents=True)
            roi = {"x": 40, "y": 8, "width": 120, "height": 100}
            words = {"general_motion_type": ["rotation", "scaling"][: k + 1], "behavior": ["walking"] * (k < 2)}
            annotation = {"image_size": [192, 128], "motion_RoI": roi, "level": min(k, 1), **words}
            (notes / f"{name}.json").write_text(json.dumps(annotation))
    return tmp_path / "set"


def test_scores_equal_the_measures(dataset):
    evaluation = evaluate(dataset, {"blend": blend})
    assert not evaluation.faults
    assert [row.level for row in evaluation.rows] == [0, 1, 1, None]
    for k in (0, 2):
        drawn, truth = blend(draw_scene(k + 1), draw_scene(3 * (k + 1)), 0.5), draw_scene(2 * (k + 1))
        row = evaluation.rows[k]
        assert row.whole == measure(drawn, truth)
        inside = np.s_[4:54, 20:80]
        assert row.roi == measure(drawn[inside], truth[inside])
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


def test_means_by_word(dataset):
    evaluation = evaluate(dataset, {"blend": blend})
    rows, summary = evaluation.rows, evaluation.summary("blend")
    assert [(row.motion_types, row.behaviors) for row in rows] == [
        (("rotation",), ("walking",)),
        (("rotation", "scaling"), ("walking",)),
        (("rotation", "scaling"), ()),
        ((), ()),
    ]
    assert list(summary.motion_types) == ["rotation", "scaling"]
    assert summary.motion_types["scaling"].ie == pytest.approx((rows[1].whole.ie + rows[2].whole.ie) / 2)
    assert summary.behaviors["walking"].chamfer == pytest.approx((rows[0].whole.chamfer + rows[1].whole.chamfer) / 2)


def test_a_mean_is_over_the_triplets_that_have_the_measure():
    rows = [TripletScores("m", str(k), None, Scores(30, 0.9, lpips=lpips)) for k, lpips in enumerate((0.1, None, 0.3))]
    assert summarize("m", rows).whole.lpips == pytest.approx(0.2)
    assert summarize("m", rows).whole.ie is None


def test_workers_do_not_change_the_scores(dataset, tmp_path):
    from animeinterp import load_interpolator

    models = {"classical": load_interpolator("classical", "cpu"), "blend": blend}
    predictions = {"other": predict(tmp_path / "other")}
    alone, together = (evaluate(dataset, models, workers=workers, predictions=predictions).rows for workers in (1, 3))
    assert [r.model for r in alone[:3]] == ["classical", "blend", "other"]
    assert [(r.model, r.triplet, r.whole, r.roi) for r in alone] == [
        (r.model, r.triplet, r.whole, r.roi) for r in together
    ]


def test_models_draw_in_one_thread_and_thread_counts_are_restored(dataset):
    counts = set()

    def count(frame0, frame1, t):
        counts.add((cv2.getNumThreads(), torch.get_num_threads()))
        return frame0.copy()

    before = cv2.getNumThreads(), torch.get_num_threads()
    try:
        cv2.setNumThreads(2)
        torch.set_num_threads(2)
        evaluate(dataset, {"count": count})
        assert counts == {(1, 1)}
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (2, 2)
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def test_unreadable_triplets_are_reported_and_skipped_for_every_model(dataset):
    (dataset / "b" / "frame2.jpg").unlink()
    (dataset / "c" / "frame1.png").write_bytes((dataset / "c" / "frame1.png").read_bytes()[:200])
    (dataset.parent / "set_annotations" / "a" / "a.json").write_text("{}")
    evaluation = evaluate(dataset, {"blend": blend, "first": first})
    assert [(row.model, row.triplet) for row in evaluation.rows] == [("blend", "d"), ("first", "d")]
    assert [fault.triplet for fault in evaluation.faults] == ["a", "b", "c"]
    for fault, reason in zip(evaluation.faults, ("not an annotation", "no frame2", "damaged"), strict=True):
        assert reason in fault.reason


def test_a_frame_of_another_size_is_a_fault_and_other_errors_are_raised(dataset):
    assert len(evaluate(dataset, {"half": lambda a, b, t: a[::2]}).faults) == 4

    def fail(frame0, frame1, t):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        evaluate(dataset, {"fail": fail})


def test_a_roi_too_small_for_ssim_is_a_fault():
    frame = np.zeros((10, 40, 3), np.uint8)
    with pytest.raises(FrameError, match="11x11"):
        ssim(frame, frame)


def test_triplets_are_not_all_read_at_once(dataset, monkeypatch):
    from animeinterp.evaluation import evaluate as module

    read, read_triplet = [], module.read_triplet
    monkeypatch.setattr(module, "read_triplet", lambda files: read.append(files) or read_triplet(files))
    many = list_triplets(dataset)[:1] * 40
    scored = score(many, {"first": first}, workers=1)
    next(scored)
    assert len(read) < 10
    assert len(list(scored)) == 39


@pytest.mark.parametrize("layout", ["{}.png", "{}/frame2.png", "{}/out.png", "{}/frame2.jpg"])
def test_predictions_are_scored_like_a_model(dataset, tmp_path, layout):
    folder = predict(tmp_path / "rife")
    for name in NAMES:
        target = folder / layout.format(name)
        target.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(target), cv2.imread(str(folder / f"{name}.png")))
        if target.name != f"{name}.png":
            (folder / f"{name}.png").unlink()
    evaluation = evaluate(dataset, {"blend": blend}, predictions={"rife": folder})
    assert not evaluation.faults
    assert evaluation.models == ("blend", "rife")
    drawn, predicted = evaluation.rows[4:6] if layout.endswith("png") else (None, evaluation.rows[5])
    assert predicted.seconds is None
    assert predicted.level == 1
    if drawn:
        assert (predicted.whole, predicted.roi) == (drawn.whole, drawn.roi)


def test_predictions_that_lack_a_frame_or_have_another_size_are_faults(dataset, tmp_path):
    folder = predict(tmp_path / "rife", "abc")
    cv2.imwrite(str(folder / "b.png"), draw_scene(0, (48, 32)))
    (folder / "c.webp").write_bytes((folder / "c.png").read_bytes())
    evaluation = evaluate(dataset, {"blend": blend}, predictions={"rife": folder})
    assert [(row.model, row.triplet) for row in evaluation.rows] == [("blend", "a"), ("rife", "a")]
    reasons = (
        "b.png is 48x32; expected the true frame's",
        "remove the other",
        "no frame for d; expected NAME.png",
    )
    assert [fault.triplet for fault in evaluation.faults] == ["b", "c", "d"]
    for fault, text in zip(evaluation.faults, reasons, strict=True):
        assert text in fault.reason


def test_predictions_of_another_layout_are_refused_at_once(dataset, tmp_path):
    for folder, error in ((tmp_path / "nowhere", FileError), (tmp_path, UsageError)):
        with pytest.raises(error, match=r"NAME\.png, NAME/frame2\.png or NAME/out\.png"):
            evaluate(dataset, {}, predictions={"rife": folder})


def test_table_for_pandas(monkeypatch):
    row = TripletScores("m", "a", 1, Scores(30, 0.9, 0.95), None, 0.5, ("scaling",), ("eating", "others"))
    evaluation = Evaluation((row,), (Fault("b", "lost"),))
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda data, columns: (data, columns)))
    data, columns = evaluation.to_pandas()
    known = {key: value for key, value in zip(columns, data[0], strict=True) if value is not None}
    assert known == {
        "model": "m", "triplet": "a", "level": 1, "psnr": 30, "ssim": 0.9, "ssim_atd": 0.95, "cpu_seconds": 0.5,
        "motion_types": "scaling", "behaviors": "eating;others",
    }  # fmt: skip
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        evaluation.to_pandas()


def test_csv_is_read_back_as_written(tmp_path, dataset):
    rows = evaluate(dataset, {"blend": blend, "same": lambda a, b, t: b}, lpips=lambda a, b: 0.25).rows
    assert rows[0].whole.lpips == 0.25
    write_rows(tmp_path / "scores.csv", rows)
    assert tuple(read_rows(tmp_path / "scores.csv")) == rows
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_csv_of_older_versions_is_read(tmp_path):
    old = "model,triplet,level,psnr,ssim,roi_psnr,roi_ssim,cpu_seconds"
    assert ",".join(COLUMNS).startswith(f"{old},")
    (tmp_path / "old.csv").write_text(f"{old}\nm,a,2,30.5,0.9,20.5,0.8,1.5\nm,b,,inf,1,,,\n")
    assert read_rows(tmp_path / "old.csv") == [
        TripletScores("m", "a", 2, Scores(30.5, 0.9), Scores(20.5, 0.8), 1.5),
        TripletScores("m", "b", None, Scores(float("inf"), 1)),
    ]


def test_peers_of_the_development_set_are_read(shared):
    rows = read_rows(shared / "bench" / "peers_dev.csv")
    assert sum(row.model == "rife46" for row in rows) == 80
    assert all(row.whole.psnr > 5 and row.whole.ie is None for row in rows)


def test_csv_without_scores_is_refused(tmp_path):
    for text in ("model,triplet\nx,a\n", "model,triplet,psnr,ssim\nx,a,good,0.9\n", "model,psnr,ssim\nx,1,1\n"):
        (tmp_path / "peers.csv").write_text(text)
        with pytest.raises(FileError, match="expected the columns"):
            read_rows(tmp_path / "peers.csv")
    with pytest.raises(FileError, match="found nothing"):
        read_rows(tmp_path / "missing.csv")


def test_peers_are_compared_on_the_same_triplets_and_levels(dataset):
    evaluation = evaluate(dataset, {"blend": blend})
    names = (*NAMES, "elsewhere")
    full = [TripletScores("full", name, 2, Scores(10 + k, 0.5)) for k, name in enumerate(names)]
    part = [TripletScores("part", name, 2, Scores(20, 0.5)) for name in names[1:]]
    summaries, incomplete = compare_with_peers(evaluation, full + part)
    noted = [
        TripletScores("full", row.triplet, row.level, Scores(10 + k, 0.5), None, None, row.motion_types, row.behaviors)
        for k, row in enumerate(evaluation.rows)
    ]
    assert summaries == [summarize("full", noted)]
    assert summaries[0].whole.psnr == 11.5
    assert incomplete == {"part": 3}


@pytest.fixture
def core(monkeypatch):
    """Replace the loading of models; returns the list of loaded models."""
    loaded = []

    def load_interpolator(model="default", device="auto", **options):
        loaded.append((model, device, options))
        return first if options["weights"] else blend

    monkeypatch.setitem(sys.modules, "animeinterp.loading", SimpleNamespace(load_interpolator=load_interpolator))
    return loaded


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        main(["evaluate", *map(str, arguments)])
    return exit.value.code


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
    assert "scores.csv)" in capsys.readouterr().out, "an older run of the same model has another name"
    drawn = read_image(tmp_path / "drawn" / "classical" / "c.png", 10**6).pixels
    assert np.array_equal(drawn, blend(draw_scene(3), draw_scene(9), 0.5))


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Files in the current folder, named like weights."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    for name in ("x/one.ckpt", "two.ckpt", "v.ckpt", "w.ckpt"):
        (tmp_path / name).touch()


@pytest.mark.usefixtures("weights")
def test_several_models_with_their_own_weights(dataset, core, capsys, tmp_path):
    specs = ("paper=x/one.ckpt", "paper=two.ckpt", "default")
    assert (
        run(dataset, "--csv", tmp_path / "s.csv", "--device", "cpu", *(a for s in specs for a in ("--model", s))) == 0
    )
    models = list(dict.fromkeys(row.model for row in read_rows(tmp_path / "s.csv")))
    assert models[:2] == ["paper-one", "paper-two"]
    assert [str(options["weights"]) for _, _, options in core] == ["x/one.ckpt", "two.ckpt", "None"]
    assert {device for _, device, _ in core} == {"cpu"}


@pytest.mark.usefixtures("weights")
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


def test_existing_files_are_refused_before_the_work(dataset, core, tmp_path, capsys):
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


def read_all(folder):
    """Read what an evaluation has written, without the CPU seconds."""
    table = [replace(row, seconds=None) for row in read_rows(folder / "scores.csv")]
    content = json.loads((folder / "scores.json").read_text())
    for model in content["models"].values():
        del model["cpu_seconds"]
    return table, {key: value for key, value in content.items() if key != "about"}


def test_a_folder_of_results(dataset, core, capsys, tmp_path):
    folder, rife = tmp_path / "out", predict(tmp_path / "rife")
    assert run(dataset, "--model", "classical", "--predictions", f"RIFE={rife}", "--out", folder) == 0
    output = capsys.readouterr().out
    assert "report.html" in output
    assert "gallery.html" in output
    evaluation = evaluate(dataset, {"classical": blend}, predictions={"RIFE": rife})
    table, content = read_all(folder)
    assert table == [replace(row, seconds=None) for row in evaluation.rows]
    assert content["complete"]
    assert content["faults"] == {}
    summary = evaluation.summary("RIFE")
    means = content["models"]["RIFE"]
    assert means["triplets"] == 4
    assert means["whole"] == asdict(summary.whole)
    assert means["roi"] == asdict(summary.roi)
    assert means["level"] == {"easy": asdict(summary.levels[0]), "medium": asdict(summary.levels[1])}
    assert means["motion_type"].keys() == {"rotation", "scaling"}
    assert means["behavior"] == {"walking": asdict(summary.behaviors["walking"])}
    drawn = read_image(folder / "frames" / "classical" / "c.png", 10**6).pixels
    assert np.array_equal(drawn, blend(draw_scene(3), draw_scene(9), 0.5))
    assert not (folder / "frames" / "RIFE").exists()
    assert (folder / "report.html").stat().st_size > 1000
    assert '<a href="gallery.html">' in (folder / "report.html").read_text()
    gallery = (folder / "gallery.html").read_text()
    assert gallery.count('<section class="crop"') == 4, "96x64 is smaller than a crop"
    assert gallery.count('alt="Drawn by RIFE"') == 4


def test_the_gallery_has_the_requested_length(dataset, core, tmp_path, capsys):
    folder = tmp_path / "out"
    assert run(dataset, "--model", "classical", "--out", folder, "--gallery", 3) == 0
    assert (folder / "gallery.html").read_text().count('<section class="crop"') == 3
    assert run(dataset, "--model", "classical", "--out", folder, "--gallery", 0) == 0
    assert not (folder / "gallery.html").exists(), "a page of an earlier run would show other frames"
    assert "gallery.html" not in (folder / "report.html").read_text()
    assert "gallery" not in capsys.readouterr().out.splitlines()[-1]
    assert run(dataset, "--model", "classical", "--gallery", 3) == 2
    assert "add --out FOLDER" in capsys.readouterr().err
    assert run(dataset, "--model", "classical", "--out", folder, "--gallery", -1) == 2


def test_an_interrupted_run_resumes_to_the_same_result(dataset, core, capsys, tmp_path, monkeypatch):
    command = (dataset, "--model", "classical", "--out")
    assert run(*command, tmp_path / "whole") == 0
    calls = []

    def stop(frame0, frame1, t):
        calls.append(frame0)
        if len(calls) in (4, 5):  # the warm-up and two triplets are done
            raise KeyboardInterrupt
        return blend(frame0, frame1, t)

    module = SimpleNamespace(load_interpolator=lambda *_, **__: stop)
    monkeypatch.setitem(sys.modules, "animeinterp.loading", module)
    assert run(*command, tmp_path / "parts", "--workers", 1) == 130
    assert "the same command continues" in capsys.readouterr().err
    assert [row.triplet for row in read_rows(tmp_path / "parts" / "scores.csv")] == ["a", "b"]
    assert not json.loads((tmp_path / "parts" / "scores.json").read_text())["complete"]
    with (tmp_path / "parts" / "scores.csv").open("a") as file:
        file.write("classical,c,1,20.1,0.")  # a torn row
    (tmp_path / "parts" / "frames" / "classical" / "a.png").unlink()
    calls[:] = range(10)
    assert run(*command, tmp_path / "parts") == 0
    assert "1 of 4 triplets are in" in capsys.readouterr().out
    assert len(calls) == 10 + 1 + 3, "the warm-up, a, c and d"
    assert read_all(tmp_path / "parts") == read_all(tmp_path / "whole")
    assert (tmp_path / "parts" / "frames" / "classical" / "a.png").exists()


def test_scored_triplets_are_reused_and_repaired_ones_added(dataset, core, tmp_path, capsys):
    frame = (dataset / "b" / "frame2.jpg").read_bytes()
    (dataset / "b" / "frame2.jpg").unlink()
    assert run(dataset, "--out", tmp_path / "out") == 1
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["faults"].keys() == {"b"}
    assert len(core) == 1
    (dataset / "b" / "frame2.jpg").write_bytes(frame)
    assert run(dataset, "--out", tmp_path / "out") == 0
    assert "3 of 4 triplets are in" in capsys.readouterr().out
    assert run(dataset, "--out", tmp_path / "out") == 0
    assert len(core) == 2, "nothing to draw, so nothing is loaded"
    assert [row.triplet for row in read_rows(tmp_path / "out" / "scores.csv")] == list(NAMES)


def test_results_of_something_else_are_refused(dataset, core, tmp_path, capsys):
    weights, folder = tmp_path / "w.ckpt", tmp_path / "out"
    weights.write_bytes(b"one")
    command = (dataset, "--model", f"paper={weights}", "--out", folder)
    assert run(*command) == 0
    before, loads = read_all(folder), len(core)
    assert run(dataset, "--model", "classical", "--out", folder) == 2
    assert 'models was {"paper"' in capsys.readouterr().err
    weights.write_bytes(b"two")
    assert run(*command) == 2
    weights.write_bytes(b"one")
    note = dataset.parent / "set_annotations" / "b" / "b.json"
    note.write_text(note.read_text().replace('"level": 1', '"level": 2'))
    assert run(*command) == 2
    assert "have changed, 1 of them, such as b" in capsys.readouterr().err
    assert (read_all(folder), len(core)) == (before, loads)
    assert run(*command, "--force") == 0
    assert read_all(folder)[0][1].level == 2


def test_a_folder_of_something_else_is_left_untouched(dataset, core, tmp_path):
    (tmp_path / "out" / "frames").mkdir(parents=True)
    (tmp_path / "out" / "scores.csv").write_text("precious")
    assert run(dataset, "--out", tmp_path / "out") == 2
    assert (tmp_path / "out" / "scores.csv").read_text() == "precious"
    (tmp_path / "out" / "scores.json").write_text("{}")
    assert run(dataset, "--out", tmp_path / "out") == 2
    assert (tmp_path / "out" / "scores.csv").read_text() == "precious"
    assert run(dataset, "--out", tmp_path / "new", "--save", tmp_path / "drawn") == 2
    assert core == []


def test_paths_are_written_as_the_user_typed_them(dataset, core, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/animeinterp", "evaluate", "set", "--out", "out"])
    (tmp_path / "set_annotations" / "a" / "a.json").write_text("{}")
    assert run("set", "--out", "out") == 1
    for path in (tmp_path / "out").glob("scores.*"):
        assert str(tmp_path) not in path.read_text()
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert content["faults"]["a"].startswith("set_annotations/a/a.json is not an annotation")
    assert content["about"]["command"] == "animeinterp evaluate set --out out"


def test_infinite_psnr_is_valid_json(dataset, core, tmp_path):
    truth = tmp_path / "truth"
    for name in NAMES:
        (truth / name).mkdir(parents=True)
        cv2.imwrite(str(truth / name / "frame2.png"), cv2.imread(str(next((dataset / name).glob("frame2.*")))))
    assert run(dataset, "--predictions", truth, "--out", tmp_path / "out") == 0
    assert core == [], "no model was requested"
    text = (tmp_path / "out" / "scores.json").read_text()
    content = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert content["models"]["truth"]["whole"]["psnr"] == "Infinity"
    assert content["models"]["truth"]["whole"]["lpips"] is None


def test_tables_fit_into_100_columns(dataset, core, capsys, tmp_path):
    weights = tmp_path / "anime_interp_full.ckpt"
    weights.touch()
    models = (
        "--model",
        "classical",
        "--model",
        f"paper={weights}",
        "--predictions",
        predict(tmp_path / "some_other_program"),
    )
    assert run(dataset, *models) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    for word in ("classical", "paper", "some_other_program", "ATD", "Cham-", "RoI", "med.", "rotation", "walking"):
        assert word in out
    assert "LPIPS" not in out


def test_names_of_models_and_predictions_must_differ(dataset, core, tmp_path, capsys):
    rife = predict(tmp_path / "rife")
    for names in ((f"classical={rife}", f"x={rife}"), (str(rife), f"rife={rife}")):
        options = [text for name in names for text in ("--predictions", name)]
        assert run(dataset, "--model", "classical", *options) == 2
        assert "twice" in capsys.readouterr().err


def test_the_command_of_the_documentation_on_a_small_atd12k(core, tmp_path, capsys, monkeypatch):
    """As published: test_2k_540p in png, annotations for 1280x720; one triplet has none, one lacks a frame."""
    level = {"level": 2, "general_motion_type": ["translation", "deformation"], "behavior": ["fetching"]}
    roi = {"x": 310, "y": 107, "width": 505, "height": 333}
    names = [f"Disney_v4_0_00{k}_s2" for k in range(4)]
    for k, name in enumerate(names):
        for part, suffix, size in (("test_2k_540p", "png", (192, 108)), ("train_10k", "jpg", (192 + 64 * (k % 2), 0))):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            size = size if size[1] else (size[0], size[0] * 9 // 16)
            for number in (1, 2, 3):
                cv2.imwrite(str(folder / f"frame{number}.{suffix}"), draw_scene(number * (k + 1), size)[..., ::-1])
        if k != 2:
            notes = tmp_path / "test_2k_annotations" / name
            notes.mkdir(parents=True)
            annotation = {"image_size": [1280, 720], "motion_RoI": roi, **level}
            (notes / f"{name}.json").write_text(json.dumps(annotation))
    (tmp_path / "test_2k_540p" / names[3] / "frame3.png").unlink()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "anime_interp_full.ckpt").touch()
    command = ("test_2k_540p", "--model", "paper=anime_interp_full.ckpt", "--out", "paper")
    assert run(*command) == 1
    streams = capsys.readouterr()
    assert "1 of 4 triplets have no annotation" in streams.out
    assert f"skipped {names[3]}: test_2k_540p/{names[3]} has no frame3" in streams.err
    one, two, bare = read_rows(tmp_path / "paper" / "scores.csv")
    assert (bare.triplet, bare.level, bare.roi) == (names[2], None, None)
    assert (one.level, one.motion_types, one.behaviors) == (2, ("translation", "deformation"), ("fetching",))
    drawn, truth = draw_scene(2, (192, 108)), draw_scene(4, (192, 108))
    # 1280/192 = 720/108 = 6 2/3: 310 → 46.5, 107 → 16.05, 505 → 75.75, 333 → 49.95, all rounded down
    inside = np.s_[16 : 16 + 49, 46 : 46 + 75]
    assert two.roi == measure(drawn[inside], truth[inside])
    assert f"{two.roi.psnr / 2 + one.roi.psnr / 2:.2f}" in streams.out
    assert run("train_10k", "--model", "paper=anime_interp_full.ckpt", "--csv", "train.csv") == 0
    assert [row.roi for row in read_rows(tmp_path / "train.csv")] == [None] * 4


def test_a_folder_of_another_layout_is_refused(dataset, core, capsys):
    assert run(dataset.parent) == 2
    assert "expected NAME/frame1.png" in capsys.readouterr().err
    with pytest.raises(UsageError):
        evaluate(dataset.parent, {"blend": blend})


def test_precomputed_flows_are_used_and_give_the_same_scores(dataset):
    from animeinterp.config import PAPER
    from animeinterp.interpolator import Interpolator
    from animeinterp.loading import load_interpolator
    from animeinterp.net.paper.model import AnimeInterp

    preset = replace(PAPER, network=replace(PAPER.network, iterations=1))
    torch.manual_seed(0)
    paper = Interpolator(preset, network=AnimeInterp(preset.network).eval().requires_grad_(False))
    models = {"paper": paper, "classical": load_interpolator("classical", "cpu")}

    def scores():
        return [(row.model, row.triplet, row.whole, row.roi) for row in evaluate(dataset, models).rows]

    matched, files = scores(), list_triplets(dataset)
    assert all(flowed.written for flowed in write_flows(files, flows_folder(dataset)))
    assert all(one.flows for one in list_triplets(dataset))
    assert scores() == matched
    for name in FLOW_NAMES:
        path = flows_folder(dataset) / "c" / name
        np.save(path, np.load(path) + 9)
    differing = [row[:2] for row, before in zip(scores(), matched, strict=True) if row != before]
    assert differing == [("paper", "c")], "the other models compute their own flow"


@pytest.fixture
def flows(dataset, monkeypatch):
    """Flows beside the data set, except for b; `paper` draws frame 3 if it gets them, else frame 1."""
    for name in NAMES:
        if name != "b":
            (flows_folder(dataset) / name).mkdir(parents=True)
            for path in FLOW_NAMES:
                np.save(flows_folder(dataset) / name / path, np.zeros((2, 8, 12), np.float32))

    class Paper:
        accepts_coarse_flow = True

        def __call__(self, frame0, frame1, t, coarse=None):
            return (frame0 if coarse is None else frame1).copy()

    load = SimpleNamespace(load_interpolator=lambda name, *_, **__: Paper() if name == "paper" else blend)
    monkeypatch.setitem(sys.modules, "animeinterp.loading", load)
    monkeypatch.setattr("animeinterp.cli.evaluating.check_setup", lambda *_: None)  # the stub needs no weights
    monkeypatch.setattr("animeinterp.weights.locations.weight_files", lambda *_: {})
    return flows_folder(dataset)


def drawn_from_flows(folder):
    """Return the triplets of a folder of results whose frame by `paper` is frame 3."""
    frames = {name: read_image(folder / "frames" / "paper" / f"{name}.png", 10**6).pixels for name in "acd"}
    return {name for name, frame in frames.items() if np.array_equal(frame, draw_scene(3 * NAMES.index(name) + 3))}


def test_flows_beside_the_data_set_are_used_reported_and_recorded(dataset, flows, tmp_path, capsys):
    command = (dataset, "--model", "classical", "--model", "paper", "--annotations", f"{dataset}_annotations")
    out = ("--out", tmp_path / "out")
    assert run(*command, *out) == 0
    output = "".join(capsys.readouterr().out.splitlines())
    message = (
        "paper: SGM flows of 3 triplets are taken from set_pre_calc_sgm_flows; segments are matched for the other 1"
    )
    assert output.count(message) == 1
    assert drawn_from_flows(tmp_path / "out") == {"a", "c", "d"}
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert content["settings"]["flows"] == ["paper"]
    assert content["about"]["flows"] == "set_pre_calc_sgm_flows"
    assert run(*command, *out, "--flows", "none") == 2
    assert 'flows was ["paper"], is []' in capsys.readouterr().err
    np.save(flows / "c" / FLOW_NAMES[1], np.ones((2, 8, 12), np.float32))
    assert run(*command, *out) == 2
    assert "1 of them, such as c" in capsys.readouterr().err
    assert run(*command, *out, "--flows", "none", "--force") == 0
    assert "SGM flows" not in capsys.readouterr().out
    assert drawn_from_flows(tmp_path / "out") == set()


def test_flows_of_another_folder(dataset, flows, tmp_path, capsys):
    flows.rename(tmp_path / "elsewhere")
    command = (dataset, "--model", "paper", "--out", tmp_path / "out")
    assert run(*command, "--flows", tmp_path / "elsewhere") == 0
    assert drawn_from_flows(tmp_path / "out") == {"a", "c", "d"}
    assert run(dataset, "--model", "paper", "--flows", tmp_path / "out" / "frames") == 2
    assert run(dataset, "--model", "paper", "--flows", tmp_path / "nowhere") == 1
    assert run(dataset, "--model", "classical", "--flows", tmp_path / "elsewhere") == 2
    assert "such as paper; leave it out" in capsys.readouterr().err


def test_flows_matter_only_to_models_that_accept_them(dataset, flows, tmp_path, capsys):
    (flows / "a" / FLOW_NAMES[0]).write_bytes(b"damaged")
    command = (dataset, "--model", "classical", "--out", tmp_path / "out")
    assert run(*command) == 0
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["settings"]["flows"] == []
    (flows / "c" / FLOW_NAMES[0]).unlink()
    assert run(*command) == 0
    capsys.readouterr()
    assert run(dataset, "--model", "classical", "--model", "paper") == 1
    errors = capsys.readouterr().err
    assert "skipped a: " in errors
    assert "guide_flo13.npy is damaged or not a .npy file" in errors
    assert "skipped c: expected a float array" in errors
    assert "found nothing" in errors
