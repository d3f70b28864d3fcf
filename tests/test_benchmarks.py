"""The commands in benchmarks/: what they write, what they leave untouched, and failing programs."""

from __future__ import annotations

import csv
import importlib
import itertools
import json
import os
import platform
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from animeinterp.cli import main as cli
from animeinterp.errors import FileError, UsageError
from animeinterp.evaluation.evaluate import evaluate
from animeinterp.evaluation.scores import COLUMNS, BestTime, TripletScores, write_rows
from animeinterp.metrics.image import measure
from animeinterp.metrics.scores import Scores
from conftest import draw_scene

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NAMES = ("a", "b")
BLEND = """import sys
from pathlib import Path
from PIL import Image
first, second, output = sys.argv[1:]
Image.blend(Image.open(first), Image.open(second), 0.5).save(output)
with Path(__file__).with_name("calls").open("a") as file: file.write("x")
"""


def first_frame(frame0, frame1, t):
    return frame0.copy()


@pytest.fixture
def dataset(tmp_path):
    for k, name in enumerate(NAMES, 1):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in (1, 2, 3):
            cv2.imwrite(str(tmp_path / "set" / name / f"frame{number}.png"), draw_scene(number * k)[..., ::-1])
    return tmp_path / "set"


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("tables")


@pytest.fixture
def peers(tables, monkeypatch):
    """The module peers.py, with a model that copies frame 0 and `evaluate` in this process."""
    module = importlib.import_module("peers")
    monkeypatch.setattr(module, "run_evaluate", evaluate_here)
    return module


def evaluate_here(arguments, quiet=False):
    options = list(itertools.pairwise(arguments))
    folders = dict(value.split("=") for key, value in options if key == "--predictions")
    models = {value: first_frame for key, value in options if key == "--model"}
    evaluation = evaluate(
        Path(arguments[0]), models, predictions={name: Path(folder) for name, folder in folders.items()}, workers=1
    )
    return list(evaluation.rows), "some were skipped" if evaluation.faults else ""


@pytest.fixture
def docs(tmp_path, tables):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "results.md").write_text("# R\n\n<!-- tables: quality -->\nold\n<!-- end -->\n\nProse.\n")
    markers = "".join(f"<!-- tables: {name} -->\n<!-- end -->\nAfter {name}.\n" for name in ("works", "breaks"))
    (folder / "performance.md").write_text(f"# P\n{markers}<!-- end -->\n")
    return folder


# --- tables


def test_only_the_text_between_the_markers_is_replaced(tables, docs):
    file, once = tables.insert(docs, "quality", "| new |\n")
    assert once == "# R\n\n<!-- tables: quality -->\n\n| new |\n\n<!-- end -->\n\nProse.\n"
    file.write_text(once)
    assert tables.insert(docs, "quality", "| new |\n") == (file, once)


@pytest.mark.parametrize(
    "text",
    [
        "no place",
        "<!-- tables: quality -->\nwithout an end",
        "<!-- tables: quality -->\n<!-- tables: sgm -->\n<!-- end -->",
        "<!-- tables: quality -->\n<!-- end -->\n" * 2,
    ],
)
def test_a_document_without_unique_markers_is_refused_before_the_work(tables, docs, dataset, text, capsys, monkeypatch):
    monkeypatch.setattr(tables, "run_evaluate", lambda *_: pytest.fail("worked"))
    (docs / "results.md").write_text(text)
    assert tables.main([str(dataset), "--quality", "--docs", str(docs)]) == 2
    assert "results.md: expected the lines <!-- tables: quality -->" in capsys.readouterr().err
    assert (docs / "results.md").read_text() == text


def test_the_documents_have_markers_for_every_table(tables):
    for name in (tables.QUALITY, *tables.SPEED):
        tables.insert(tables.DOCS, name, "")


def test_a_failed_benchmark_is_reported_and_the_others_are_written(tables, docs, dataset, capsys, monkeypatch):
    programs = docs.parent / "programs"
    programs.mkdir()
    (programs / "works.py").write_text("def main(given): return [('speed', ' '.join(given), '2 | 3 times')]")
    (programs / "breaks.py").write_text("def main(given): raise SystemExit('no input')")
    monkeypatch.syspath_prepend(str(programs))
    wanted = {"breaks": ("DATASET", ""), "works": ("--threads 1 --film FILM", "")}
    monkeypatch.setattr(tables, "SPEED", wanted)
    before = (docs / "performance.md").read_text()
    assert tables.main([str(dataset), "--only", "breaks", "works", "--docs", str(docs)]) == 1
    assert "breaks: left out: SystemExit: no input" in capsys.readouterr().err
    after = (docs / "performance.md").read_text()
    table = after.partition("<!-- tables: works -->\n")[2].partition("<!-- end -->")[0]
    assert "| speed | --threads 1 | 2 / 3 times |\n" in table
    assert table.startswith(f"\n`python benchmarks/works.py --threads 1`; {tables.describe_machine()}; 20")
    assert after.replace(table, "") == before


def test_missing_inputs_are_dropped_with_their_options(tables):
    inputs = {"DATASET": Path("x"), "FILM": None, "ASSETS": None}
    words = tables.drop_missing_inputs("DATASET --seconds 1 --assets ASSETS FILM", inputs)
    assert words == [
        "DATASET",
        "--seconds",
        "1",
    ]


def test_the_quality_table_has_the_means_and_no_paths(tables, docs, dataset, tmp_path, capsys, monkeypatch):
    ours = [
        TripletScores("classical", name, level, Scores(20.0 + level, 0.5), Scores(9.0, 0.25), 1.5)
        for level, name in enumerate(NAMES)
    ]
    calls = []
    monkeypatch.setattr(tables, "run_evaluate", lambda arguments: calls.append(arguments) or (ours, "one was skipped"))
    others = [TripletScores("RIFE", name, None, Scores(30.0, 0.75)) for name in NAMES]
    write_rows(tmp_path / "peers.csv", [*others, TripletScores("half", "a", None, Scores(31.0, 0.75))])
    arguments = [str(dataset), "--quality", "--docs", str(docs), "--peers", str(tmp_path / "peers.csv")]
    assert tables.main([*arguments, "--out", "kept", "--model", f"classical={tmp_path}/w.safetensors"]) == 1
    assert calls == [[str(dataset), "--model", f"classical={tmp_path}/w.safetensors", "--out", "kept"]]
    text = (docs / "results.md").read_text()
    assert "| | PSNR | SSIM | RoI PSNR | RoI SSIM | CPU s/frame |\n" in text, "measures without values have no column"
    assert "| `classical` | 20.50 | 0.5000 | 9.00 | 0.2500 | 1.50 |\n" in text
    assert "| RIFE | 30.00 | 0.7500 | – | – | – |\n" in text
    assert "| | PSNR easy | PSNR medium | SSIM easy | SSIM medium |\n" in text
    assert "| `classical` | 20.00 | 21.00 | 0.5000 | 0.5000 |\n" in text
    assert "half" not in text
    assert "`animeinterp evaluate DATASET --model classical=w.safetensors --peers peers.csv`; means over 2" in text
    assert str(tmp_path) not in text
    assert platform.node() not in text
    output = capsys.readouterr()
    assert "half is left out: it has 1 of these 2 triplets" in output.out
    assert output.err == "quality: one was skipped\n"


def test_the_quality_table_starts_with_lpips_and_the_best_time(tables, docs, dataset, monkeypatch):
    ours = [
        TripletScores(
            *("classical", name, 0, Scores(20.0, 0.5, lpips=0.125), Scores(9.0, 0.25, lpips=0.5), 1.5),
            best=BestTime.at(0.25, Scores(22.0, 0.75, lpips=0.0625)),
        )
        for name in NAMES
    ]
    theirs = [TripletScores("RIFE", name, 0, Scores(19.0, 0.25, lpips=0.25)) for name in NAMES]
    calls = []
    monkeypatch.setattr(tables, "run_evaluate", lambda arguments: calls.append(arguments) or (ours + theirs, ""))
    arguments = [str(dataset), "--quality", "--docs", str(docs), "--model", "classical", "--best-t"]
    assert tables.main([*arguments, "--lpips", "somewhere/alex.ckpt", "--predictions", "RIFE=somewhere/rife"]) == 0
    words = ["--model", "classical", "--predictions", "RIFE=somewhere/rife", "--lpips", "somewhere/alex.ckpt"]
    assert calls == [[str(dataset), *words, "--best-t"]]
    text = (docs / "results.md").read_text()
    shown = "`animeinterp evaluate DATASET --model classical --predictions RIFE=rife --lpips alex.ckpt --best-t`"
    assert shown in text
    heads = "| | LPIPS | best-t PSNR | best-t SSIM | PSNR | SSIM | RoI LPIPS | RoI PSNR | RoI SSIM | CPU s/frame |\n"
    assert heads in text
    assert "| `classical` | 0.1250 | 22.00 | 0.7500 | 20.00 | 0.5000 | 0.5000 | 9.00 | 0.2500 | 1.50 |\n" in text
    assert "| RIFE | 0.2500 | – | – | 19.00 | 0.2500 | – | – | – | – |\n" in text
    assert "| | LPIPS easy | best-t PSNR easy | PSNR easy | SSIM easy |\n" in text


def test_figures_of_a_quick_run_need_copies_of_the_documents(tables, dataset, capsys):
    assert tables.main([str(dataset), "--quick"]) == 2
    assert "--docs FOLDER" in capsys.readouterr().err


def test_scores_come_from_the_command_line_program(tables, dataset, tmp_path, monkeypatch):
    def run_here(command, **_):
        assert command[:3] == [sys.executable, "-m", "animeinterp"]
        with pytest.raises(SystemExit) as left:
            cli(command[3:])
        return SimpleNamespace(returncode=left.value.code, stderr="")

    monkeypatch.setattr(tables.subprocess, "run", run_here)
    (tmp_path / "drawn").mkdir()
    for name in NAMES:
        os.link(dataset / name / "frame1.png", tmp_path / "drawn" / f"{name}.png")
    arguments = [str(dataset), "--predictions", f"still={tmp_path / 'drawn'}"]
    rows, skipped = tables.run_evaluate(arguments, quiet=True)
    assert [(row.model, row.triplet, row.whole.psnr) for row in rows] == [
        ("still", name, measure(draw_scene(k), draw_scene(2 * k)).psnr) for k, name in enumerate(NAMES, 1)
    ]
    assert not skipped
    (tmp_path / "drawn" / "b.png").unlink()
    rows, skipped = tables.run_evaluate(arguments)
    assert [row.triplet for row in rows] == ["a"]
    assert "some triplets were skipped" in skipped
    with pytest.raises(FileError, match="wrote no scores"):
        tables.run_evaluate([str(tmp_path / "nothing")])


def test_the_search_for_the_best_time_is_compared_with_all_times(tables, dataset, monkeypatch):
    best_time = importlib.import_module("best_time")
    threads = cv2.getNumThreads()
    monkeypatch.setattr(best_time.torch, "set_num_threads", lambda _: None)
    rows = best_time.main([str(dataset), "--model", "classical", "--every", "1"])
    cv2.setNumThreads(threads)
    ours, plain, every = (figure for _, figure, _ in rows)
    assert every.startswith("65.00 renders (at most 65), ")
    renders = [float(figure.split()[0]) for figure in (ours, plain)]
    assert renders[0] < renders[1] <= 15
    assert ours.split(", ")[1:] == plain.split(", ")[1:] == every.split(", ")[1:]


def test_doubt_is_compared_with_a_distance(tables, dataset, tmp_path, capsys, monkeypatch):
    confidence = importlib.import_module("confidence")
    doubt, bad = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
    assert confidence.judge_threshold(doubt, bad, 0.3) == (0.75, pytest.approx(1 / 3))
    assert [confidence.largest_threshold(doubt, bad, allowed) for allowed in (0.2, 0.4, 0.5)] == [0.1, 0.3, 0.4]
    assert confidence.roc_area(doubt, bad) == 0.75
    threads = cv2.getNumThreads()
    monkeypatch.setattr(confidence.torch, "set_num_threads", lambda _: None)
    distances = iter((0.1, 0.9))
    monkeypatch.setattr(confidence, "load_lpips", lambda _: lambda drawn, true: next(distances))
    given = [str(dataset), "--lpips", "x", "--out", str(tmp_path / "t.csv"), "--model", "classical", "--limit", "0.5"]
    rows = confidence.main(given)
    assert rows == confidence.main(given), "a second run draws nothing"
    cv2.setNumThreads(threads)
    assert "50% of them bad" in capsys.readouterr().out


def test_programs_return_their_rows(tables, dataset, capsys):
    threads = cv2.getNumThreads()
    rows = importlib.import_module("sgm").main([str(dataset), "--every", "1"])
    cv2.setNumThreads(threads)
    assert {what: against for what, _, against in rows}["DIS, published settings"] == "1"
    assert all("CPU s" in figure and "2 pairs" in figure for _, figure, _ in rows)
    rows = importlib.import_module("splatting").main(["--size", "32x16", "--channels", "2", "--repeats", "1"])
    assert rows[0][2] == "1"
    assert all(against.startswith("put_ takes ") for _, _, against in rows[1:])
    assert "max diff" in capsys.readouterr().out


# --- other programs


def program(name, command, **others):
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"name": name, "command": command, **others}.items()]
    return "\n".join(["[[peer]]", *lines, ""])


def compared(peers, dataset, *programs, force=False):
    """Run peers.py on programs; return the exit code. Results are in `out` beside the data set."""
    folder = dataset.parent
    (folder / "peers.toml").write_text("".join(programs))
    (folder / "blend.py").write_text(BLEND)
    arguments = [str(dataset), "--config", str(folder / "peers.toml"), "--out", str(folder / "out")]
    return peers.main([*arguments, *(["--force"] if force else [])])


def scores_of(dataset):
    with (dataset.parent / "out" / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


BLENDS = program("blends", f"{sys.executable} {{here}}/blend.py {{frame0}} {{frame1}} {{output}}")


def test_a_program_is_scored_like_our_models(peers, dataset):
    assert compared(peers, dataset, BLENDS) == 0
    rows = scores_of(dataset)
    assert list(rows[0]) == [*COLUMNS, "wall_seconds"]
    assert [(row["model"], row["triplet"]) for row in rows] == [(m, n) for m in ("classical", "blends") for n in NAMES]
    assert [row["wall_seconds"] == "" for row in rows] == [True, True, False, False]
    for row, k in zip(rows[2:], (1, 2), strict=True):
        drawn = np.asarray(cv2.imread(str(dataset.parent / "out/peers/blends/frames" / f"{row['triplet']}.png")))
        assert np.abs(drawn[..., ::-1] - (draw_scene(k) / 2 + draw_scene(3 * k) / 2)).max() <= 1
        assert float(row["psnr"]) == measure(np.ascontiguousarray(drawn[..., ::-1]), draw_scene(2 * k)).psnr
        assert float(row["wall_seconds"]) > 0
    table = (dataset.parent / "out" / "table.md").read_text()
    assert "| `classical` | " in table
    assert "| blends | 2 | " in table
    assert str(dataset.parent) not in table


def test_lpips_is_measured_for_all_models(peers, dataset, monkeypatch):
    calls = []

    def run_evaluate(arguments, quiet=False):
        calls.append(arguments)
        model = "copies" if "--predictions" in arguments else "classical"
        return [TripletScores(model, name, None, Scores(20.0, 0.5, lpips=0.125)) for name in NAMES], ""

    monkeypatch.setattr(peers, "run_evaluate", run_evaluate)
    folder = dataset.parent
    (folder / "peers.toml").write_text(program("copies", "sh -c 'cp $0 $2' {frame0} {frame1} {output}"))
    command = [str(dataset), "--config", str(folder / "peers.toml"), "--out", str(folder / "out")]
    assert peers.main([*command, "--lpips", str(folder / "alex.ckpt")]) == 0
    assert len(calls) == 2
    for arguments in calls:
        assert arguments[arguments.index("--lpips") + 1] == str(folder / "alex.ckpt")
    table = (folder / "out" / "table.md").read_text()
    assert "DATASET --model classical --lpips alex.ckpt`" in table
    assert "| copies | 0.1250 | 20.00 | 0.5000 |" in table


def test_failed_programs_are_reported_and_the_others_are_scored(peers, dataset, capsys, monkeypatch):
    monkeypatch.setattr(peers, "MAX_FAILURES", 1)
    cv2.imwrite(str(dataset.parent / "small.png"), np.zeros((16, 20, 3), np.uint8))
    code = compared(
        peers,
        dataset,
        program("missing", "no-such-program {frame0} {frame1} {output}"),
        program("fails", "sh -c 'echo begin; echo no GPU >&2; exit 3' {frame0} {frame1} {output}"),
        program("hangs", "sh -c '(sleep 1; touch {here}/late) & sleep 60' {frame0} {frame1} {output}", timeout=0.2),
        program("idle", "true {frame0} {frame1} {output}"),
        program("wrong size", "sh -c 'cp {here}/small.png $2' {frame0} {frame1} {output}"),
        program("half", "sh -c 'test ! -e {here}/seen && touch {here}/seen && cp $0 $1' {frame0} {output} {frame1}"),
        program("copies", "sh -c 'cp $0 $2' {frame0} {frame1} {output}"),
    )
    errors = capsys.readouterr().err
    assert code == 1
    for message in (
        "missing: cannot find no-such-program; install it",
        "fails: a: it ended with exit code 3; its last line: no GPU\n",
        "fails: given up after 1 failures in a row; 1 triplets were not tried",
        "hangs: a: it took longer than 0.2 s",
        "idle: a: it wrote no output; its last line: (none)",
        "wrong size: a: output.png is 20x16; expected the true frame's 96x64",
        "half: b: it ended with exit code 1",
    ):
        assert message in errors
    drawn = [(row["model"], row["triplet"]) for row in scores_of(dataset) if row["model"] != "classical"]
    assert drawn == [("half", "a"), ("copies", "a"), ("copies", "b")]
    table = (dataset.parent / "out" / "table.md").read_text()
    means = table.partition("| CPU s/frame |")[2].partition("\n\n")[0].splitlines()[2:]
    assert [line.split(" | ")[0] for line in means] == ["| `classical`", "| copies"]
    assert "| half | 1 | " in table
    time.sleep(1.2)
    assert not (dataset.parent / "late").exists()  # its children were ended too


def test_a_second_run_draws_only_missing_frames(peers, dataset):
    compared(peers, dataset, BLENDS)
    calls = dataset.parent / "calls"
    assert calls.read_text() == "xx"
    assert compared(peers, dataset, BLENDS) == 0
    assert calls.read_text() == "xx"
    (dataset.parent / "out/peers/blends/frames/b.png").unlink()
    cv2.imwrite(str(dataset / "a" / "frame1.png"), draw_scene(40)[..., ::-1])
    assert compared(peers, dataset, BLENDS) == 0
    assert calls.read_text() == "xxxx"
    assert len(scores_of(dataset)) == 4


def test_frames_of_another_command_are_not_reused(peers, dataset, capsys):
    compared(peers, dataset, BLENDS)
    other = program("blends", "sh -c 'cp $0 $2' {frame0} {frame1} {output}")
    assert compared(peers, dataset, other) == 1
    assert "holds frames of another command; choose another" in capsys.readouterr().err
    assert compared(peers, dataset, other, force=True) == 0
    drawn = cv2.imread(str(dataset.parent / "out/peers/blends/frames/a.png"))
    assert np.array_equal(drawn[..., ::-1], draw_scene(1))


def test_a_program_that_reads_and_writes_folders(peers, dataset):
    copy = (
        "sh -c 'cp $0/00000001.png $1/1.png; cp $0/00000002.png $1/2.png; cp $0/00000002.png $1/3.png' {input} {output}"
    )
    own = "sh -c 'mkdir out; cp $0/00000002.png out/1.png' {input}"
    assert compared(peers, dataset, program("by folders", copy), program("own", own, result="out/1.png")) == 0
    for name in ("by folders", "own"):
        drawn = cv2.imread(str(dataset.parent / "out/peers" / name / "frames" / "a.png"))
        assert np.array_equal(drawn[..., ::-1], draw_scene(3))


def test_no_shell_reads_the_command(peers):
    peer = peers.Peer("x", "run 'a b' {frame0} --to={output} $(touch y); > z", here="/h")
    words = peer.arguments({"frame0": Path("/p q/0.png"), "output": Path("/p/{here}")})
    assert words == ["run", "a b", "/p q/0.png", "--to=/p/{here}", "$(touch", "y);", ">", "z"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no \\[\\[peer\\]\\]"),
        ("peer = 3", "holds no \\[\\[peer\\]\\]"),
        ("[[peer]", "is not a TOML file"),
        ("[[peer]]\nname = 'x'", "expected name, command"),
        (program("x", "p {frame0} {frame1} {output}", timeot=3), "expected name, command"),
        (program("x", "p {frame0} {frame1} {output}", timeout="3"), "timeout of a .* cannot be '3'"),
        (program("x", "p {frame0} {frame1} {output}", timeout=0), "expected seconds above 0"),
        (program("x", "p {frame0} {output}"), "expected {frame0} and {frame1}"),
        (program("x", "p {frame0} {frame1}"), "expected {frame0} and {frame1}"),
        (program("x", "p {frame0} {frame1} {output} {model}"), "no other word in braces"),
        (program("x", "p ' {frame0} {frame1} {output}"), "cannot be split"),
        (program("../x", "p {frame0} {frame1} {output}"), "expected a name of letters"),
        (program("classical", "p {frame0} {frame1} {output}"), "expected unique names, also among our models"),
        (BLENDS + BLENDS, "expected unique names, also among our models, got blends"),
        (BLENDS, "holds blends, not other"),
    ],
)
def test_an_invalid_file_of_programs_is_refused(peers, tmp_path, text, expected):
    (tmp_path / "peers.toml").write_text(text)
    with pytest.raises(UsageError, match=expected):
        peers.read_peers(tmp_path / "peers.toml", ["other"], ["classical"])


def test_the_commented_examples_are_valid(peers, tmp_path):
    lines = (BENCHMARKS / "peers.toml").read_text().splitlines()
    examples = [
        line[2:] for line in lines if line.startswith(("# [[", "# name =", "# command =", "# result =", "# timeout ="))
    ]
    (tmp_path / "peers.toml").write_text("\n".join(examples))
    assert len(peers.read_peers(tmp_path / "peers.toml", None, ["classical"])) == examples.count("[[peer]]") == 3
