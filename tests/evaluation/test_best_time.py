"""Best time: the search, its scores in the CSV, on the command line and in the report."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from animeinterp.cli import main
from animeinterp.data.atd12k import list_triplets
from animeinterp.errors import FrameError
from animeinterp.evaluation.best_time import bind_frames, find_best_time
from animeinterp.evaluation.evaluate import evaluate, score
from animeinterp.evaluation.report.page import write_report
from animeinterp.evaluation.scores import COLUMNS, BestTime, TripletScores, read_rows, summarize, to_cells
from animeinterp.metrics.image import chamfer, psnr, ssim
from animeinterp.metrics.scores import Scores
from conftest import draw_scene

SHIFT = 20  # px from frame 1 to frame 3
SHIFTS = {"early": 6, "late": 14, "middle": 10}  # px from frame 1 to the truth


def glide(frame0, frame1, t):
    """Draw the scenes of `dataset` without errors of drawing."""
    return draw_scene(round(SHIFT * t))


class Steps:
    """A model with the steps of an `Interpolator`, which records its calls."""

    accepts_coarse_flow = True

    def __init__(self, draw=glide):
        self.draw, self.calls, self.times = draw, [], []

    def __call__(self, frame0, frame1, t, coarse=None):
        return self.draw(frame0, frame1, t)

    def analyze(self, frame, *, segment=True):
        self.calls.append(f"analyze {segment}")
        return frame

    def motion(self, analysis0, analysis1, coarse=None):
        self.calls.append("motion" if coarse is None else f"motion by {coarse}")
        return analysis0, analysis1

    def render(self, motion, t):
        self.times.append(t)
        return self.draw(*motion, t)


@pytest.fixture
def dataset(tmp_path):
    """Three triplets whose true frame is at t = 0.3, 0.7 and 0.5; levels 2, 0 and none, without an annotation."""
    for name, shift in SHIFTS.items():
        folder, notes = tmp_path / "set" / name, tmp_path / "set_annotations" / name
        folder.mkdir(parents=True)
        for number, position in ((1, 0), (2, shift), (3, SHIFT)):
            cv2.imwrite(str(folder / f"frame{number}.png"), draw_scene(position)[..., ::-1])
        if name != "middle":
            notes.mkdir(parents=True)
            roi = {"x": 10, "y": 8, "width": 70, "height": 40}
            annotation = {"image_size": [96, 64], "motion_RoI": roi, "level": 2 if name == "early" else 0}
            (notes / f"{name}.json").write_text(json.dumps(annotation))
    return tmp_path / "set"


@pytest.fixture
def frames(tmp_path):
    """Frames of another program, equal to those of `glide` at t = 0.5."""
    (tmp_path / "rife").mkdir()
    for name in SHIFTS:
        cv2.imwrite(str(tmp_path / "rife" / f"{name}.png"), draw_scene(SHIFT // 2)[..., ::-1])
    return tmp_path / "rife"


@pytest.fixture
def core(monkeypatch):
    """The model that `--model classical` loads; `times` holds the times drawn by `render`."""
    model = Steps()
    module = SimpleNamespace(load_interpolator=lambda *_, **__: model)
    monkeypatch.setitem(sys.modules, "animeinterp.loading", module)
    return model


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        main(["evaluate", *map(str, arguments)])
    return exit.value.code


def blob(center, width):
    """A function of t whose PSNR against a black frame decreases on both sides of `center`, and that frame."""

    def draw(t):
        return np.full((16, 16, 3), round(min(255, abs(t - center) / width * 255)), np.uint8)

    return draw, np.zeros((16, 16, 3), np.uint8)


@pytest.mark.parametrize("center", [0.1, 0.237, 0.3, 0.444, 0.5, 0.51, 0.66, 0.9])
def test_best_time_is_found_to_an_eightieth_in_few_renders(center):
    draw, truth = blob(center, 1)
    times = []
    best = find_best_time(lambda t: times.append(t) or draw(t), draw(0.5), truth)
    assert abs(best.t - center) <= 1 / 80
    assert best.offset == abs(best.t - 0.5)
    drawn = draw(best.t)
    assert best.scores == Scores(psnr(drawn, truth), ssim(drawn, truth), chamfer=chamfer(drawn, truth))
    assert len(times) == len(set(times)) <= 10
    assert 0.5 not in times, "the caller has drawn it"
    if center == 0.3:
        assert max(times) < 0.7, "a direction ends when PSNR decreases"


def curve(values):
    """A function of t whose PSNR is `values[t]`, dB, or 5 dB elsewhere, and the true frame."""
    truth = np.zeros((100, 100, 3), np.uint8)

    def draw(t):
        level = 255 * 10 ** (-values.get(round(t, 6), 5) / 20)
        return np.full_like(truth, round(level))

    return draw, truth


def tried(values):
    draw, truth = curve(values)
    times = []
    best = find_best_time(lambda t: times.append(round(t, 6)) or draw(t), draw(0.5), truth)
    return best, times


def test_a_direction_ends_after_two_falls_or_far_below_the_best():
    slow = {0.1: 30, 0.2: 15.1, 0.3: 15.4, 0.4: 15.7, 0.5: 16, 0.6: 14.5, 0.7: 15, 0.8: 15, 0.9: 30}
    best, times = tried(slow)
    assert best.t == 0.5
    assert times[:3] == [0.4, 0.6, 0.3], "two falls on the left, more than 1 dB on the right"
    assert not {0.1, 0.2, 0.7, 0.8, 0.9} & set(times)
    dip = slow | {0.3: 15.8, 0.2: 17}
    assert tried(dip)[0].t == 0.1, "one fall does not end a direction"


def test_refinement_starts_on_the_better_side():
    tenths = {0.3: 10, 0.4: 19, 0.5: 20, 0.6: 19.5, 0.7: 10}
    best, times = tried(tenths | {0.55: 21})
    assert (best.t, 0.45 in times) == (0.55, False)
    best, times = tried(tenths | {0.45: 21})
    assert (best.t, times.index(0.55) < times.index(0.45)) == (0.45, True)


def test_longest_search_has_15_renders():
    rising = {k / 10: 20 - k % 2 / 10 for k in range(1, 10)}
    assert len(tried(rising)[1]) + 1 == 15


@pytest.mark.parametrize(("center", "end"), [(0.0, 0.1), (1.0, 0.9)])
def test_times_beyond_the_range_give_its_end(center, end):
    draw, truth = blob(center, 1)
    assert find_best_time(draw, draw(0.5), truth).t == end


def test_ties_go_to_the_middle_then_to_the_earlier_time():
    truth = draw_scene(3)
    for frame in (truth, draw_scene(9)):
        assert find_best_time(lambda t, frame=frame: frame, frame, truth).t == 0.5
    values = dict.fromkeys((0.4, 0.6), 10)
    best = find_best_time(
        lambda t: np.full_like(truth, values.get(t, 99)), np.full_like(truth, 99), np.zeros_like(truth)
    )
    assert best.t == 0.4, "the earlier of two equal times"


def test_chamfer_and_lpips_are_measured_at_the_best_time(dataset):
    def lpips(drawn, true):
        return float(np.abs(drawn.astype(float) - true).mean())

    row = evaluate(dataset, {"glide": glide}, best_t=True, lpips=lpips).rows[0]
    assert row.whole.lpips > 1
    assert row.whole.chamfer > 0
    assert (row.best.scores.lpips, row.best.scores.chamfer) == (0, 0)
    plain = evaluate(dataset, {"glide": glide}, best_t=True).rows[0]
    assert plain.best.scores.lpips is None


def test_a_frame_of_another_size_is_refused():
    with pytest.raises(FrameError):
        find_best_time(lambda t: draw_scene(0)[::2], draw_scene(0), draw_scene(0))


def test_best_time_separates_timing_from_drawing_errors(dataset):
    plain, searched = (evaluate(dataset, {"glide": Steps()}, best_t=best_t).rows for best_t in (False, True))
    assert [row.best for row in plain] == [None] * 3
    assert [(row.whole, row.roi) for row in searched] == [(row.whole, row.roi) for row in plain]
    early, late, middle = searched
    for row, t in ((early, 0.3), (late, 0.7)):
        assert row.best.t == pytest.approx(t, abs=0.026)  # shifts are whole px
        assert row.best.scores == Scores(float("inf"), 1, chamfer=0)
        assert row.whole.psnr < 30
    whole = middle.whole
    assert middle.best == BestTime(0.5, 0, Scores(whole.psnr, whole.ssim, chamfer=whole.chamfer))


def test_best_time_of_a_real_model(dataset):
    from animeinterp.loading import load_interpolator

    models = {"classical": load_interpolator("classical", "cpu")}
    plain, alone, together = (
        evaluate(dataset, models, workers=workers, best_t=best_t).rows
        for workers, best_t in ((1, False), (1, True), (3, True))
    )
    assert [row.best for row in alone] == [row.best for row in together]
    assert [(row.whole, row.roi) for row in alone] == [(row.whole, row.roi) for row in plain]
    early, late, middle = alone
    for row, t in ((early, 0.3), (late, 0.7)):
        assert row.best.t == pytest.approx(t, abs=0.05)
        assert row.best.scores.psnr > row.whole.psnr + 3
        assert row.best.scores.ssim > row.whole.ssim
    assert middle.best.t == pytest.approx(0.5, abs=0.03)
    assert middle.best.scores.psnr >= middle.whole.psnr


def test_motion_is_computed_once_and_flows_are_passed_on(dataset):
    model = Steps()
    evaluate(dataset, {"steps": model}, best_t=True, workers=1)
    assert model.calls == ["analyze True", "analyze True", "motion"] * 3
    assert model.times.count(0.5) == 3
    assert 3 * 6 <= len(model.times) <= 3 * 11
    before = len(model.times)
    list(score(list_triplets(dataset), {"steps": model}))
    assert len(model.times) == before, "best_t is off"
    guided = Steps()
    draw = bind_frames(guided, draw_scene(0), draw_scene(SHIFT), "flows")
    assert np.array_equal(draw(0.25), draw_scene(5))
    assert guided.calls == ["analyze False", "analyze False", "motion by flows"]


def test_equal_frames_and_plain_callables_are_called(dataset):
    model = Steps()
    bind_frames(model, draw_scene(0), draw_scene(0))(0.5)
    assert model.calls == []
    whole, steps = evaluate(dataset, {"glide": glide, "steps": model}, best_t=True).rows[:2]
    assert whole.best == steps.best


def test_predictions_have_no_best_time(dataset, frames):
    rows = evaluate(dataset, {"glide": glide}, predictions={"rife": frames}, best_t=True).rows
    assert [row.best is None for row in rows] == [False, True] * 3
    assert rows[1].whole == rows[0].whole


def test_mean_best_times_need_all_triplets():
    def row(triplet, level, t=None, value=30.0):
        best = None if t is None else BestTime.at(t, Scores(value, value / 100))
        return TripletScores("m", triplet, level, Scores(20, 0.5), best=best)

    rows = [row("a", 0, 0.25, 30), row("b", 0, 0.5, 40), row("c", 2, 0.75, 50)]
    summary = summarize("m", rows)
    assert summary.best == BestTime(0.5, pytest.approx(1 / 6), Scores(40, pytest.approx(0.4)))
    easy = BestTime(0.375, 0.125, Scores(35, 0.35))
    assert summary.best_levels == (easy, None, BestTime(0.75, 0.25, Scores(50, 0.5)))
    assert [name for name, _, _ in summary.timings()] == ["all", "easy", "hard"]
    assert summary.timings()[1][1:] == (summary.levels[0], easy)
    mixed = summarize("m", [*rows, row("d", 2)])
    assert (mixed.best, mixed.best_levels) == (None, (easy, None, None))
    assert summarize("m", [row("d", 2)]).timings() == []


def test_command_line(dataset, core, frames, tmp_path, capsys):
    command = (dataset, "--model", "classical", "--predictions", frames)
    assert run(*command, "--best-t", "--csv", tmp_path / "s.csv", "--out", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.replace(str(tmp_path), "").splitlines())) <= 100
    evaluation = evaluate(dataset, {"classical": glide}, predictions={"rife": frames}, best_t=True)
    summary = evaluation.summary("classical")
    lines = [line.split() for line in out.splitlines()]
    offset = f"{summary.best.offset:.3f}"
    whole = summary.whole
    far = f"{whole.chamfer * 1e5:.2f}"
    numbers = [f"{whole.psnr:.2f}", "inf", f"{whole.ssim:.4f}", "1.0000", far, "0.00", offset]
    assert ["classical", "all", *numbers] in lines
    assert {line[0] for line in lines if len(line) == 8 and line[2] == "inf"} == {"easy", "hard"}
    assert ["classical", "inf", "1.0000", *numbers[0:3:2]] in [line[:5] for line in lines], "best t comes first"
    assert ["rife", "–", "–", *numbers[0:3:2]] in [line[:5] for line in lines]
    assert "rife has no best t" in out
    with (tmp_path / "s.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["best_t"]) for row in rows] == [True, False] * 3
    assert rows[0]["best_t"] == "0.325", "of the times with the same shift, the one nearest 0.5"
    assert (rows[0]["best_t_psnr"], rows[0]["best_t_ssim"]) == ("inf", "1.0")
    assert [row.best for row in read_rows(tmp_path / "s.csv")] == [row.best for row in evaluation.rows]
    models = json.loads((tmp_path / "out" / "scores.json").read_text())["models"]
    assert models["rife"]["best_t"] is None
    assert list(models["classical"]["best_t"]) == ["all", "easy", "hard"]
    best = summary.best_levels[2]
    assert models["classical"]["best_t"]["hard"] == {
        "best_t": best.t, "best_t_offset": best.offset, "best_t_psnr": "Infinity", "best_t_ssim": 1.0,
        "best_t_chamfer": 0.0, "best_t_lpips": None,
    }  # fmt: skip
    page = (tmp_path / "out" / "report.html").read_text()
    assert "At the best time" in page
    assert f"<td>{offset}</td>" in page
    assert "at best t, 0.33" in page


def test_tables_lead_with_lpips_and_fit_into_100_columns(dataset, core, frames, tmp_path, capsys, monkeypatch):
    def lpips(drawn, true):
        return float(np.abs(drawn.astype(float) - true).mean()) / 255

    monkeypatch.setattr("animeinterp.cli.evaluating._load_lpips", lambda _: lpips)
    program = tmp_path / "some_other_program_4"
    frames.rename(program)
    assert run(dataset, "--model", "classical", "--predictions", program, "--best-t") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    evaluation = evaluate(dataset, {"classical": glide}, lpips=lpips, best_t=True)
    summary = evaluation.summary("classical")
    whole, lines = summary.whole, [line.split() for line in out.splitlines()]
    leading = ["classical", f"{whole.lpips:.4f}", "inf", "1.0000", f"{whole.psnr:.2f}", f"{whole.ssim:.4f}"]
    assert lines[2][:6] == leading
    levels = [f"{summary.levels[k].lpips:.4f}" for k in (0, 2)]
    assert ["classical", *levels] in [line[:3] for line in lines]
    assert ["classical", "all", f"{whole.lpips:.4f}", "0.0000"] in [line[:4] for line in lines]


def test_without_best_t_nothing_mentions_it(dataset, core, tmp_path, capsys):
    assert run(dataset, "--model", "classical", "--out", tmp_path / "out") == 0
    assert "best t" not in capsys.readouterr().out
    assert core.times == []
    assert {row.best for row in read_rows(tmp_path / "out" / "scores.csv")} == {None}
    content = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert content["models"]["classical"]["best_t"] is None
    assert "best t" not in (tmp_path / "out" / "report.html").read_text()
    row = read_rows(tmp_path / "out" / "scores.csv")[0]
    known = dict(zip(COLUMNS, to_cells(row), strict=True))
    assert {value for name, value in known.items() if name.startswith("best_t")} == {None}


def test_predictions_alone_are_refused(dataset, core, frames, capsys):
    assert run(dataset, "--predictions", frames, "--best-t") == 2
    assert "add a --model" in capsys.readouterr().err


def test_scores_without_best_times_are_repeated_and_not_mixed(dataset, core, tmp_path, capsys):
    command = (dataset, "--model", "classical", "--out", tmp_path / "out")
    header = tmp_path / "out" / "scores.json"
    assert run(*command) == 0
    content = json.loads(header.read_text())
    del content["settings"]["best_t"]  # as in older versions
    header.write_text(json.dumps(content))
    assert run(*command) == 0
    assert "3 of 3 triplets are in" in capsys.readouterr().out
    assert run(*command, "--best-t") == 0
    assert "triplets are in" not in capsys.readouterr().out
    rows = read_rows(tmp_path / "out" / "scores.csv")
    assert [row.best.t for row in rows] == [row.best.t for row in evaluate(dataset, {"m": glide}, best_t=True).rows]
    before = len(core.times)
    assert run(*command, "--best-t") == 0
    assert "3 of 3 triplets are in" in capsys.readouterr().out
    assert len(core.times) == before, "rows with best times are reused"
    assert run(*command) == 2
    assert "best_t was true, is false" in capsys.readouterr().err
    assert read_rows(tmp_path / "out" / "scores.csv") == rows


def test_an_interrupted_run_resumes(dataset, core, tmp_path, capsys):
    command = (dataset, "--model", "classical", "--best-t", "--out", tmp_path / "out")
    assert run(*command) == 0
    table = tmp_path / "out" / "scores.csv"
    rows, lines = read_rows(table), table.read_text().splitlines(keepends=True)
    torn = [
        "" if name.startswith("best_t") else cell
        for name, cell in zip(lines[0].strip().split(","), lines[2].strip().split(","), strict=True)
    ]
    table.write_text("".join(lines[:2]) + ",".join(torn) + "\n")
    core.calls.clear()
    assert run(*command) == 0
    assert "1 of 3 triplets are in" in capsys.readouterr().out
    assert core.calls.count("motion") == 2
    assert [(row.triplet, row.best) for row in read_rows(table)] == [(row.triplet, row.best) for row in rows]


def without_columns(table, *names):
    """Remove columns from a CSV."""
    with table.open() as file:
        rows = [{key: text for key, text in row.items() if key not in names} for row in csv.DictReader(file)]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_best_times_of_older_versions_are_read_and_repeated(dataset, core, tmp_path, capsys):
    command = (dataset, "--model", "classical", "--best-t", "--out", tmp_path / "out")
    table = tmp_path / "out" / "scores.csv"
    assert run(*command) == 0
    rows = read_rows(table)
    without_columns(table, "best_t_chamfer", "best_t_lpips")
    old = read_rows(table)
    assert [row.best.t for row in old] == [row.best.t for row in rows]
    assert old[0].best.scores == replace(rows[0].best.scores, chamfer=None)
    assert run(dataset, "--model", "classical", "--peers", table) == 0
    assert "best t" in capsys.readouterr().out, "they are still compared with others"
    core.calls.clear()
    assert run(*command) == 0
    assert "triplets are in" not in capsys.readouterr().out
    assert core.calls.count("motion") == 3
    assert [(row.triplet, row.best) for row in read_rows(table)] == [(row.triplet, row.best) for row in rows]


class Quarter:
    """A constant LPIPS."""

    identity = "x"

    def __call__(self, drawn, true):
        return 0.25

    def map(self, drawn, true):
        return np.full(true.shape[:2], 0.25, np.float32)


def test_best_times_without_lpips_are_repeated_only_if_it_is_measured(dataset, core, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("animeinterp.cli.evaluating._load_lpips", lambda _: Quarter())
    command = (dataset, "--model", "classical", "--best-t", "--out", tmp_path / "out")
    assert run(*command) == 0
    table = tmp_path / "out" / "scores.csv"
    assert run(*command) == 0
    assert "3 of 3 triplets are in" in capsys.readouterr().out
    without_columns(table, "best_t_lpips")
    assert run(*command) == 0
    assert "triplets are in" not in capsys.readouterr().out
    assert [row.best.scores.lpips for row in read_rows(table)] == [0.25] * 3


def test_report_of_several_models(dataset, tmp_path):
    evaluation = evaluate(dataset, {"<b>": glide, "plain": lambda a, b, t: a.copy()}, best_t=True)
    write_report(tmp_path / "r.html", evaluation, list_triplets(dataset), lambda *_: None)
    page = (tmp_path / "r.html").read_text()
    assert '<th scope="rowgroup" rowspan="3">&lt;b&gt;</th>' in page
    assert page.count('href="#timing"') == 1
    assert asdict(evaluation.summary("plain").best)["offset"] == 0
