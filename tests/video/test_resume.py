"""Runs that go on: only what was recorded is believed, and only with all that decides pixels unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from animeinterp import load_interpolator
from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.io.files import lock_folder
from animeinterp.io.images import write_image
from animeinterp.video.job import interpolate_video
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink import store as stores
from animeinterp.video.source.fingerprint import fingerprint
from conftest import draw_scene
from support.films import make_film


@pytest.fixture(scope="module")
def interpolator():
    return load_interpolator("classical", "cpu")


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(stores, "SEGMENT", 4)
    monkeypatch.setattr(stores, "_RECORD_EVERY", 0.0)
    monkeypatch.setattr(stores, "_RECORD_SHARE", 1e9)


@pytest.fixture
def run(interpolator, tmp_path):
    """Make TARGET of SOURCE; after `stop` frames the run is broken off."""

    def made(target, stop=None, source="a.mkv", drawer=None, **options):
        def report(tally):
            if stop is not None and tally.frames >= stop:
                raise KeyboardInterrupt

        asked = VideoOptions(**options)
        return interpolate_video(
            tmp_path / source, tmp_path / target, asked, interpolator=drawer or interpolator, report=report
        )

    make_film(tmp_path / "a.mkv", [draw_scene(2 * k) for k in range(10)])
    return made


@pytest.fixture
def broken(run, tmp_path):
    """The parts of a run that was broken off, the whole film beside them."""
    run("whole.mkv")
    with pytest.raises(KeyboardInterrupt):
        run("b.mkv", stop=18)
    parts = tmp_path / "b.mkv.parts"
    assert len(list(parts.glob("0*.mkv"))) >= 3
    return parts


def truncate(parts):
    path = parts / "000001.mkv"
    path.write_bytes(path.read_bytes()[:-100])


def flip(parts):
    data = bytearray((parts / "000001.mkv").read_bytes())
    data[len(data) // 2] ^= 1
    (parts / "000001.mkv").write_bytes(data)


def swap(parts):
    (parts / "000001.mkv").replace(parts / "x")
    (parts / "000000.mkv").replace(parts / "000001.mkv")
    (parts / "x").replace(parts / "000000.mkv")


def a_folder(parts):
    (parts / "000002.mkv").unlink()
    (parts / "000002.mkv").mkdir()
    (parts / "000002.mkv" / "x").write_text("x")


def empty(parts):
    (parts / "000000.mkv").write_bytes(b"")


def surplus(parts):
    shutil.copy(parts / "000000.mkv", parts / "000009.mkv")


def edited_record(parts):
    record = json.loads((parts / "job.json").read_text())
    record["parts"].append(record["parts"][0])
    (parts / "job.json").write_text(json.dumps(record))


def a_link(parts):
    (parts / "000000.mkv").replace(parts.parent / "elsewhere.mkv")
    (parts / "000000.mkv").symlink_to(parts.parent / "elsewhere.mkv")


DAMAGES = [truncate, flip, swap, a_folder, empty, surplus, edited_record, a_link]
RECORDS = ["", "{", "[]", "null", '{"kind": "other"}', "[" * 100_000, "\x00\xff", None]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_parts_are_drawn_again_and_said(damage, broken, run, tmp_path):
    try:
        damage(broken)
    except OSError:
        pytest.skip("this system makes no links")
    tally = run("b.mkv", resume=True)
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert tally.notes
    assert not broken.exists()


@pytest.mark.parametrize("text", RECORDS)
def test_a_record_that_is_none_means_to_draw_all_again(text, broken, run, tmp_path):
    if text is None:
        (broken / "job.json").unlink()
    else:
        (broken / "job.json").write_text(text, encoding="latin-1")
    tally = run("b.mkv", resume=True)
    assert tally.kept == 0
    assert "drawn again" in tally.notes[0]
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_what_is_whole_is_kept_in_silence(broken, run, tmp_path):
    tally = run("b.mkv", resume=True)
    assert (tally.kept >= 12, tally.notes) == (True, [])
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_frames_of_a_folder_are_verified_too(run, tmp_path):
    run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("b", stop=15)
    frames = tmp_path / "b.parts" / "frames"
    (frames / "000003.png").write_bytes((frames / "000002.png").read_bytes())
    (frames / "notes.txt").write_text("mine")
    tally = run("b", resume=True)
    assert tally.kept == 3
    made, whole = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("b", "whole"))
    assert made == whole
    assert (tmp_path / "b.parts" / "notes.txt.other").read_text() == "mine", "nobody's file is lost"


@pytest.mark.parametrize("target", ["b.mkv", "b"])
@pytest.mark.parametrize("left", ["all", "some"])
def test_killed_after_the_target_was_placed(target, left, run, tmp_path, monkeypatch):
    def killed(self):
        if left == "some":
            for path in list(self.folder.glob("0*.mkv"))[:2]:
                path.unlink()
        raise KeyboardInterrupt

    remove = stores.SegmentStore._remove_parts
    monkeypatch.setattr(stores.SegmentStore, "_remove_parts", killed)
    with pytest.raises(KeyboardInterrupt):
        run(target)
    monkeypatch.setattr(stores.SegmentStore, "_remove_parts", remove)
    made = tmp_path / target
    before = made.read_bytes() if made.is_file() else sorted(made.iterdir())
    tally = run(target, resume=True)
    assert tally.frames == tally.kept == 20
    assert (made.read_bytes() if made.is_file() else sorted(made.iterdir())) == before
    assert not (tmp_path / f"{target}.parts").exists()


def test_what_decides_pixels_must_be_the_same(broken, run, tmp_path, interpolator):
    from animeinterp.config import CLASSICAL, Options
    from animeinterp.interpolator import Interpolator

    for options, word in (
        ({"fps": "60"}, "fps was 48, now 60"),
        ({"cuts": "3"}, "cuts was found, now 3"),
        ({"cadence": "off"}, "cadence was auto, now off"),
    ):
        with pytest.raises(UsageError, match=word):
            run("b.mkv", resume=True, **options)
    with pytest.raises(UsageError, match="style was auto, now western"):
        run("b.mkv", resume=True, drawer=Interpolator(CLASSICAL, Options(style="western")))
    status = (tmp_path / "a.mkv").stat()
    data = bytearray((tmp_path / "a.mkv").read_bytes())
    data[-3] ^= 1
    (tmp_path / "a.mkv").write_bytes(data)
    os.utime(tmp_path / "a.mkv", ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(AnimeInterpError, match="source was"):
        run("b.mkv", resume=True)
    assert list(broken.glob("0*.mkv")), "refusing costs nothing"


def test_a_list_of_cuts_counts_by_what_is_in_it(run, tmp_path):
    (tmp_path / "cuts.txt").write_text("3\n")
    with pytest.raises(KeyboardInterrupt):
        run("b.mkv", stop=14, cuts=str(tmp_path / "cuts.txt"))
    (tmp_path / "cuts.txt").write_text("4\n")
    with pytest.raises(UsageError, match="cuts was 3, now 4"):
        run("b.mkv", resume=True, cuts=str(tmp_path / "cuts.txt"))
    assert run("b.mkv", resume=True, cuts="3").kept > 0


def test_other_weights_are_noticed():
    import torch

    from animeinterp.builder import digest
    from animeinterp.video.settings import _settings_of

    first, second = torch.zeros(3), torch.tensor([0, 0, 1e-6])
    assert digest({"a": first}) == digest({"a": first.clone()}) != digest({"a": second})
    assert digest({"a": first}) != digest({"b": first})
    known = load_interpolator("cel", "cpu")
    before = _settings_of(known)["weights"]
    next(known.learned[0].parameters()).mul_(2)
    assert _settings_of(known)["weights"] != before


def test_a_changed_picture_in_a_folder_is_noticed(tmp_path):
    for k in range(3):
        write_image(tmp_path / f"{k}.png", draw_scene(k))
    before, status = fingerprint(tmp_path), (tmp_path / "1.png").stat()
    data = bytearray((tmp_path / "1.png").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "1.png").write_bytes(data)
    os.utime(tmp_path / "1.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(tmp_path) != before


def test_a_target_that_appears_meanwhile_is_not_replaced(run, tmp_path):
    def appear(tally):
        (tmp_path / "b.mkv").write_text("mine")

    with pytest.raises(UsageError, match="--resume"):
        interpolate_video(tmp_path / "a.mkv", tmp_path / "b.mkv", report=appear, interpolator=load_interpolator)
    assert (tmp_path / "b.mkv").read_text() == "mine"
    (tmp_path / "b.mkv").unlink()
    assert (tmp_path / "b.mkv.parts").is_dir()


def test_two_runs_do_not_share_parts(broken, run):
    with lock_folder(broken):
        for options in ({"resume": True}, {"force": True}, {}):
            with pytest.raises(UsageError, match="in use by another run"):
                run("b.mkv", **options)


def test_planted_links_are_not_followed(run, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    parts = tmp_path / "b.mkv.parts"
    parts.mkdir()
    try:
        for name in ("lock", "job.json", "000000.mkv", "film.mkv", "000000.mkv.part", "job.part"):
            (parts / name).symlink_to(precious)
        (tmp_path / ".b.mkv.part").symlink_to(precious)
    except OSError:
        pytest.skip("this system makes no links")
    run("b.mkv", force=True)
    assert precious.read_text() == "precious"
    assert not (tmp_path / "b.mkv").is_symlink()
    (tmp_path / "c.mkv.parts").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "d.mkv.parts").write_text("mine")
    for target in ("c.mkv", "d.mkv"):
        with pytest.raises(FileError, match="remove it"):
            run(target, force=True)


def test_a_run_that_finished_nothing_leaves_nothing(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run("b.mkv", stop=0)
    assert not (tmp_path / "b.mkv.parts").exists()
    with pytest.raises(KeyboardInterrupt):
        run("b", stop=0)
    assert not (tmp_path / "b.parts").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"fps": "600"}, "500 frames"),
        ({"fps": "1e999999999"}, "frame rate"),
        ({"preview": "1s@5"}, "is .* s long"),
        ({"max_hold": float("nan")}, "hold"),
        ({"cuts": "9" * 6000}, "is not a cut"),
    ],
)
def test_refused_calls_do_not_block_the_corrected_one(options, word, run, tmp_path):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UsageError, match=word):
        run("b.mkv", **options)
    assert sorted(tmp_path.iterdir()) == before


def test_the_source_is_never_its_own_target(run):
    with pytest.raises(UsageError, match="source itself"):
        run("a.mkv", force=True)


def test_frames_left_out_and_cuts_beyond_the_end_are_said(run):
    tally = run("b.mkv", fps="12", cuts="3,900")
    assert any("5 of its 10 frames are left out" in note for note in tally.notes)
    assert any("1 of 2 cuts" in note for note in tally.notes)


def test_names_as_long_as_the_system_takes(run, tmp_path):
    name = "n" * 251 + ".mkv"
    run(name)
    assert (tmp_path / name).exists()
    assert not list(tmp_path.glob("*.parts"))


def test_progress_has_a_total_from_the_start_and_the_time_left(interpolator, run, tmp_path):
    seen = []
    interpolate_video(
        tmp_path / "a.mkv",
        tmp_path / "b.mkv",
        interpolator=interpolator,
        report=lambda tally: seen.append((tally.frames, tally.total, tally.seconds_left)),
    )
    assert seen[0][:2] == (0, 20)
    assert {total for _, total, _ in seen} == {20}
    assert seen[-1][2] == 0
    assert all(left is not None for frames, _, left in seen if frames)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope.mkv"],
        ["a.mkv", "-o", "b.xyz"],
        ["a.mkv", "-o", "b.mkv", "--fps", "x"],
        ["a.mkv", "-o", "a.mkv"],
        ["a.mkv", "-o", "b.mkv", "--preview", "1s@99"],
        ["a.mkv", "-o", "b.mkv", "--cuts", "3,x"],
        ["a.mkv", "-o", "b.mkv", "--model", "nope"],
        ["a.mkv", "-o", "b.mkv", "--weights", "nope.safetensors"],
        ["a.mkv", "-o", "b.mkv", "--model", "paper"],
        ["a.mkv", "-o", "b.mkv", "--style", "x"],
        ["a.mkv", "-o", "b.mkv", "--codec", "nope"],
    ],
)
def test_mistaken_calls_answer_before_torch_is_loaded(arguments, run, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    program = (
        "import sys\nfrom animeinterp.cli import main\n"
        "try:\n    main(['video', *sys.argv[1:]])\n"
        "except SystemExit as left:\n    print(left.code, 'torch' in sys.modules)"
    )
    root = str(Path(stores.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.split() in (["1", "False"], ["2", "False"]), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
