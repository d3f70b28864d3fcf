from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import animeinterp
from animeinterp.cli import main
from animeinterp.demo import FRAME0, FRAME1, TRUTH
from animeinterp.errors import WeightsError
from animeinterp.io.images import LoadedImage, read_image, write_image
from support.stub import Blender

LIMIT = 1_000_000


@pytest.fixture
def core(monkeypatch):
    """Replace the core by one that blends, and return the arguments it is loaded with."""
    loaded = {}

    def load_interpolator(model="default", device="auto", **options):
        loaded.update(model=model, device=device, **options)
        return Blender()

    monkeypatch.setitem(sys.modules, "animeinterp.loading", SimpleNamespace(load_interpolator=load_interpolator))
    return loaded


@pytest.fixture
def files(tmp_path, monkeypatch, pair):
    """Write a.png and b.png to the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, frame in zip("ab", pair, strict=True):
        write_image(tmp_path / f"{name}.png", frame, LoadedImage(frame, "PNG", b"profile", (72, 72)))
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


def new_files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name not in ("a.png", "b.png"))


def test_a_name_that_ends_in_a_slash_is_a_folder(files, core):
    assert run("tween", "a.png", "b.png", "-n", "2", "-o", "new/folder/") == 0
    assert new_files(files / "new" / "folder") == ["a-b_1.png", "a-b_2.png"]


def test_one_in_between(files, core, pair, capsys):
    assert run("tween", "a.png", "b.png", "-o", "mid.png") == 0
    image = read_image(files / "mid.png", LIMIT)
    assert np.array_equal(image.pixels, np.rint(pair[0] / 2.0 + pair[1] / 2.0).astype(np.uint8))
    assert image.icc == b"profile"
    assert new_files(files) == ["mid.png"]
    assert "t = 0.500  mid.png  doubtful" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-n", "3", "-o", "mid.png"], ["mid_1.png", "mid_2.png", "mid_3.png"]),
        (["-n", "1"], ["a-b.png"]),
        (["-n", "2"], ["a-b_1.png", "a-b_2.png"]),
        (["-o", "."], ["a-b.png"]),
        (["-n", "10", "-o", "m.tif"], [f"m_{k:02}.tif" for k in range(1, 11)]),
        (["--at", "0.6,0.25", "-o", "m.png"], ["m_1.png", "m_2.png"]),
    ],
)
def test_names_are_predictable(files, core, arguments, names):
    assert run("tween", "a.png", "b.png", *arguments) == 0
    assert new_files(files) == names


def test_times_are_printed_in_order(files, core, capsys):
    run("tween", "a.png", "b.png", "-o", "m.png", "--at", "0.6,0.25")
    out = capsys.readouterr().out
    assert out.index("t = 0.250  m_1.png") < out.index("t = 0.600  m_2.png")


def test_timing_chart_sets_the_times(files, core, capsys):
    run("tween", "a.png", "b.png", "-n", "3", "--timing", "ease-in", "-o", "m.png")
    out = capsys.readouterr().out
    assert [line[4:9] for line in out.splitlines() if line.startswith("t =")] == ["0.062", "0.250", "0.562"]


def test_options_reach_the_core(files, core):
    for name in ("w.ckpt", "v.pth"):
        (files / name).write_bytes(b"")
    options = "--model paper --weights w.ckpt --vgg v.pth --device cpu --style japanese --max-pixels 123456"
    run("tween", "a.png", "b.png", "-o", "m.png", *options.split())
    assert (core["model"], core["device"]) == ("paper", "cpu")
    assert (str(core["weights"]), str(core["vgg"])) == ("w.ckpt", "v.pth")
    assert (core["options"].style, core["options"].max_pixels) == ("japanese", 123456)


def test_nothing_is_overwritten_without_force(files, core, capsys):
    (files / "m_2.png").write_bytes(b"precious")
    assert run("tween", "a.png", "b.png", "-n", "2", "-o", "m.png") == 2
    assert "m_2.png exists already" in capsys.readouterr().err
    assert new_files(files) == ["m_2.png"], "the other one is not written either"
    assert (files / "m_2.png").read_bytes() == b"precious"
    assert core == {}, "refused before the model is loaded"
    assert run("tween", "a.png", "b.png", "-n", "2", "-o", "m.png", "--force") == 0
    assert (files / "m_2.png").read_bytes() != b"precious"


def test_sheet(files, core):
    assert run("explain", "a.png", "b.png", "-o", "sheet.png") == 0
    assert read_image(files / "sheet.png", 10**8).pixels.shape[1] == 2400


def test_sheet_has_one_time(files, core, capsys):
    assert run("explain", "a.png", "b.png", "--at", "0.2,0.4") == 2
    assert "one time" in capsys.readouterr().err
    assert new_files(files) == []


def test_demo_prints_where_the_images_are(files, core, capsys):
    assert run("demo", "-o", "shown/here") == 0
    assert str((files / "shown" / "here").resolve()) in capsys.readouterr().out
    names = ["frame0.png", "frame1.png", "mid_1.png", "mid_2.png", "mid_3.png", "sheet.png"]
    assert new_files(files) == names
    assert run("demo", "-o", "shown/here") == 2
    assert run("demo", "-o", "shown/here", "--force") == 0


def test_demo_pair_is_bundled_with_its_license():
    frames = [read_image(path, LIMIT).pixels for path in (FRAME0, TRUTH, FRAME1)]
    assert {frame.shape for frame in frames} == {(540, 960, 3)}
    source = (FRAME0.parent / "SOURCE.md").read_text(encoding="utf-8")
    assert "Expat (MIT)" in source
    assert "What is ours" in source


def test_models_are_listed(capsys):
    assert run("models") == 0
    out = capsys.readouterr().out
    for record in animeinterp.available_models():
        assert record.name in out
        assert record.license.split()[0] in out
    assert "29.68" in out
    assert "(default)" in out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help(arguments, capsys):
    assert run(*arguments) == 0
    out = capsys.readouterr().out
    for command in ("tween", "explain", "demo", "models"):
        assert command in out


def test_help_of_tween_describes_file_names(capsys):
    run("tween", "--help")
    assert "mid_1.png" in capsys.readouterr().out


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == f"animeinterp {animeinterp.__version__}"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (WeightsError("w.ckpt belongs to\nanother model"), 1, "error: w.ckpt belongs to another model"),
        (MemoryError(), 1, "error: memory ran out"),
        (KeyboardInterrupt(), 130, ""),
        (RuntimeError("what?"), 1, "error: unexpected RuntimeError: what?"),
    ],
)
def test_every_error_is_one_line(files, core, monkeypatch, capsys, error, code, message):
    def fail(self, frame):
        raise error

    monkeypatch.setattr(Blender, "analyze", fail)
    monkeypatch.delenv("ANIMEINTERP_DEBUG", raising=False)
    assert run("tween", "a.png", "b.png", "-o", "m.png") == code
    err = capsys.readouterr().err
    assert err.startswith(message)
    assert err.count("\n") == bool(message)
    assert new_files(files) == []


def test_debug_shows_where_an_error_comes_from(files, core, monkeypatch, capsys):
    monkeypatch.setenv("ANIMEINTERP_DEBUG", "")  # restored after the test
    assert run("--debug", "tween", "a.png", "missing.png") == 1
    assert "Traceback" in capsys.readouterr().err


def test_as_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "animeinterp", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"animeinterp {animeinterp.__version__}\n"


def test_a_closed_pipe_prints_no_traceback():
    program = subprocess.Popen(
        [sys.executable, "-m", "animeinterp", "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    program.stdout.close()
    assert program.stderr.read() == b""
    program.wait(60)


def test_demo_by_the_real_core_is_nearer_to_the_middle_than_a_blend(tmp_path):
    assert run("demo", "-o", str(tmp_path)) == 0
    truth = read_image(TRUTH, LIMIT).pixels.astype(float)
    given = [read_image(tmp_path / f"frame{k}.png", LIMIT).pixels.astype(float) for k in (0, 1)]
    drawn = read_image(tmp_path / "mid_2.png", LIMIT).pixels.astype(float)
    blend = (given[0] + given[1]) / 2
    # 28.7 dB against 17.8 dB when this was written
    assert np.square(drawn - truth).mean() < np.square(blend - truth).mean() / 4


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_depth_and_alpha_pass_through_the_real_core(tmp_path, pair, suffix):
    for name, frame in zip("ab", pair, strict=True):
        alpha = np.where(frame.sum(axis=2) > 600, 0, 65535)
        deep = np.dstack([frame.astype(np.uint16) * 257, alpha]).astype(np.uint16)
        write_image(tmp_path / f"{name}{suffix}", deep, LoadedImage(deep, "PNG", b"profile"))
    files = [str(tmp_path / f"{name}{suffix}") for name in ("a", "b", "mid")]
    assert run("tween", *files[:2], "-o", files[2]) == 0
    image = read_image(tmp_path / f"mid{suffix}", LIMIT)
    assert image.pixels.dtype == np.uint16
    assert image.pixels.shape == (64, 96, 4)
    assert image.icc == b"profile"
    drawn = image.pixels[image.pixels[..., 3] > 0, :3]
    assert len(np.unique(drawn % 257)) > 1, "more than 8 bits of depth are used"
