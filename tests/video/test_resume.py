"""Resumed runs: only recorded, unchanged parts are kept, and only if every setting that affects pixels is the same."""

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
from animeinterp.video.sink import segment_store
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.source.fingerprint import fingerprint
from conftest import draw_scene
from support.films import make_film


@pytest.fixture(scope="module")
def interpolator():
    return load_interpolator("classical", "cpu")


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(segment_store, "SEGMENT_FRAMES", 4)
    monkeypatch.setattr(segment_store, "_SAVE_INTERVAL", 0.0)
    monkeypatch.setattr(segment_store, "_SAVE_TIME_FRACTION", 1e9)


@pytest.fixture
def run(interpolator, tmp_path):
    """Make a target from a source; the run is interrupted after `stop` frames."""

    def make(target, stop=None, source="a.mkv", drawer=None, **options):
        def report(progress):
            if stop is not None and progress.frames >= stop:
                raise KeyboardInterrupt

        return interpolate_video(
            tmp_path / source,
            tmp_path / target,
            VideoOptions(**options),
            interpolator=drawer or interpolator,
            report=report,
        )

    make_film(tmp_path / "a.mkv", [draw_scene(2 * k) for k in range(10)])
    return make


@pytest.fixture
def interrupted(run, tmp_path):
    """The parts of an interrupted run, with the complete film beside them."""
    run("whole.mkv")
    with pytest.raises(KeyboardInterrupt):
        run("b.mkv", stop=18)
    folder = tmp_path / "b.mkv.parts"
    assert len(list(folder.glob("0*.mkv"))) >= 3
    return folder


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
def test_damaged_parts_are_drawn_again_and_noted(damage, interrupted, run, tmp_path):
    try:
        damage(interrupted)
    except OSError:
        pytest.skip("this system makes no links")
    progress = run("b.mkv", resume=True)
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert progress.notes
    assert not interrupted.exists()


@pytest.mark.parametrize("text", RECORDS)
def test_without_a_valid_record_all_frames_are_drawn_again(text, interrupted, run, tmp_path):
    if text is None:
        (interrupted / "job.json").unlink()
    else:
        (interrupted / "job.json").write_text(text, encoding="latin-1")
    progress = run("b.mkv", resume=True)
    assert progress.kept == 0
    assert "drawn again" in progress.notes[0]
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_undamaged_parts_are_kept_without_a_note(interrupted, run, tmp_path):
    progress = run("b.mkv", resume=True)
    assert (progress.kept >= 12, progress.notes) == (True, [])
    assert (tmp_path / "b.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_the_images_of_a_folder_are_verified_too(run, tmp_path):
    run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("b", stop=15)
    frames = tmp_path / "b.parts" / "frames"
    (frames / "000003.png").write_bytes((frames / "000002.png").read_bytes())
    (frames / "notes.txt").write_text("mine")
    progress = run("b", resume=True)
    assert progress.kept == 3
    made, whole = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("b", "whole"))
    assert made == whole
    assert (tmp_path / "b.parts" / "notes.txt.other").read_text() == "mine", "files of others are kept"


@pytest.mark.parametrize("target", ["b.mkv", "b"])
@pytest.mark.parametrize("removed", ["none", "some"])
def test_killed_after_the_target_was_placed(target, removed, run, tmp_path, monkeypatch):
    def interrupt(self):
        if removed == "some":
            for path in list(self.folder.glob("0*.mkv"))[:2]:
                path.unlink()
        raise KeyboardInterrupt

    remove = segment_store.SegmentStore._remove_parts
    monkeypatch.setattr(segment_store.SegmentStore, "_remove_parts", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(target)
    monkeypatch.setattr(segment_store.SegmentStore, "_remove_parts", remove)
    made = tmp_path / target
    before = made.read_bytes() if made.is_file() else sorted(made.iterdir())
    progress = run(target, resume=True)
    assert progress.frames == progress.kept == 20
    assert (made.read_bytes() if made.is_file() else sorted(made.iterdir())) == before
    assert not (tmp_path / f"{target}.parts").exists()


def test_settings_that_affect_pixels_must_be_the_same(interrupted, run, tmp_path, interpolator):
    from animeinterp.config import CLASSICAL, Options
    from animeinterp.interpolator import Interpolator

    for options, word in (
        ({"fps": "60"}, "fps was 48, now 60"),
        ({"cuts": "3"}, "cuts was found, now 3"),
        ({"cadence": "off"}, "cadence was auto, now off"),
        ({"encoding": Encoding(quality=60)}, "quality was None, now 60"),
        ({"encoding": Encoding(bits=10)}, "bits was None, now 10"),
        ({"encoding": Encoding(encoder_options={"tune": "grain"})}, "encoder options was .*grain"),
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
    assert list(interrupted.glob("0*.mkv")), "a refused run removes nothing"


def test_a_list_of_cuts_is_compared_by_its_content(run, tmp_path):
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
    from animeinterp.video.settings import describe_interpolator

    first, second = torch.zeros(3), torch.tensor([0, 0, 1e-6])
    assert digest({"a": first}) == digest({"a": first.clone()}) != digest({"a": second})
    assert digest({"a": first}) != digest({"b": first})
    known = load_interpolator("cel", "cpu")
    before = describe_interpolator(known)["weights"]
    next(known.learned[0].parameters()).mul_(2)
    assert describe_interpolator(known)["weights"] != before


def test_a_changed_image_in_a_folder_is_noticed(tmp_path):
    for k in range(3):
        write_image(tmp_path / f"{k}.png", draw_scene(k))
    before, status = fingerprint(tmp_path), (tmp_path / "1.png").stat()
    data = bytearray((tmp_path / "1.png").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "1.png").write_bytes(data)
    os.utime(tmp_path / "1.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(tmp_path) != before


def test_a_target_created_in_the_meantime_is_not_replaced(run, tmp_path):
    def appear(progress):
        (tmp_path / "b.mkv").write_text("mine")

    with pytest.raises(UsageError, match="--resume"):
        interpolate_video(tmp_path / "a.mkv", tmp_path / "b.mkv", report=appear, interpolator=load_interpolator)
    assert (tmp_path / "b.mkv").read_text() == "mine"
    (tmp_path / "b.mkv").unlink()
    assert (tmp_path / "b.mkv.parts").is_dir()


def test_two_runs_do_not_share_parts(interrupted, run):
    with lock_folder(interrupted):
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


def test_omitted_frames_and_cuts_beyond_the_end_are_noted(run):
    progress = run("b.mkv", fps="12", cuts="3,900")
    assert any("5 of its 10 frames are left out" in note for note in progress.notes)
    assert any("1 of 2 cuts" in note for note in progress.notes)


def test_file_names_of_the_maximum_length(run, tmp_path):
    name = "n" * 251 + ".mkv"
    run(name)
    assert (tmp_path / name).exists()
    assert not list(tmp_path.glob("*.parts"))


def test_progress_has_a_total_from_the_start_and_the_time_left(interpolator, run, tmp_path):
    reports = []
    interpolate_video(
        tmp_path / "a.mkv",
        tmp_path / "b.mkv",
        interpolator=interpolator,
        report=lambda progress: reports.append((progress.frames, progress.total, progress.seconds_left)),
    )
    assert reports[0][:2] == (0, 20)
    assert {total for _, total, _ in reports} == {20}
    assert reports[-1][2] == 0
    assert all(left is not None for frames, _, left in reports if frames)


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
def test_invalid_calls_fail_before_torch_is_loaded(arguments, run, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    program = (
        "import sys\nfrom animeinterp.cli import main\n"
        "try:\n    main(['video', *sys.argv[1:]])\n"
        "except SystemExit as exit:\n    print(exit.code, 'torch' in sys.modules)"
    )
    root = str(Path(segment_store.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.split() in (["1", "False"], ["2", "False"]), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
