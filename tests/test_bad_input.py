"""Invalid input: a one-line message with advice, the right exit code, no partial file."""

from __future__ import annotations

import errno
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from animeinterp.cli import main
from animeinterp.io.images import write_image
from support.stub import Blender

HERE = Path(__file__).parent
SUBPROCESS_ENV = {**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"}


def png_that_declares(width: int, height: int) -> bytes:
    """Make a PNG whose header declares a huge image, with few pixels after it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def folder(tmp_path, monkeypatch, pair):
    """Make the current folder, with the valid files a.png and b.png and with invalid ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANIMEINTERP_DEBUG", raising=False)
    a, b = pair
    write_image(tmp_path / "a.png", a)
    write_image(tmp_path / "b.png", b)
    write_image(tmp_path / "small.png", b[:-2])
    write_image(tmp_path / "gray.png", np.ascontiguousarray(b[..., 0]))
    write_image(tmp_path / "alpha.png", np.dstack([b, b[..., 0]]))
    write_image(tmp_path / "deep.png", b.astype(np.uint16) * 257)
    write_image(tmp_path / "dot.png", b[:1, :1])
    Image.fromarray(b).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(b).save(tmp_path / "loop.webp", save_all=True, append_images=[Image.fromarray(a)])
    (tmp_path / "huge.png").write_bytes(png_that_declares(30_000, 30_000))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "b.png").read_bytes()[:-300])
    (tmp_path / "folder.png").mkdir()
    return tmp_path


@pytest.fixture
def core(monkeypatch):
    """Replace the core by one that blends, so that only the input can cause errors."""
    module = SimpleNamespace(load_interpolator=lambda *args, **options: Blender())
    monkeypatch.setitem(sys.modules, "animeinterp.loading", module)


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def refused(capsys, folder, *arguments: str) -> tuple[int, str]:
    """Return exit code and message of a call that fails with one line and leaves no file."""
    before = snapshot(folder)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert "please report" not in err, "an unexpected error"
    assert snapshot(folder) == before
    return left.value.code, err


@pytest.mark.parametrize(
    ("second", "code", "expected"),
    [
        ("small.png", 2, "a.png is 96x64 but small.png is 96x62; expected the same size"),
        ("dot.png", 2, "dot.png is 1x1; expected at least 16x16"),
        ("huge.png", 2, "huge.png is 30000x30000, 900,000,000 pixels; the limit is 40,000,000"),
        ("cmyk.jpg", 2, "cmyk.jpg is in CMYK; expected"),
        ("loop.webp", 2, "loop.webp holds 2 images; expected one"),
        ("missing.png", 1, "expected an image file at missing.png, found nothing"),
        ("empty.png", 1, "empty.png is empty"),
        ("text.png", 1, "text.png is not an image that can be read; expected PNG"),
        ("cut.png", 1, "cut.png is damaged or cut short"),
        ("folder.png", 1, "folder.png is a folder; expected an image file"),
        ("a.png/b.png", 1, "cannot read a.png/b.png"),
        ("/dev/zero", 1, "is a device; expected an image file"),
    ],
)
@pytest.mark.parametrize("command", ["tween", "explain"])
def test_second_frame(folder, core, capsys, command, second, code, expected):
    exit_code, message = refused(capsys, folder, command, "a.png", second, "-o", "out.png")
    assert expected in message
    assert exit_code == code


def test_both_frames_of_one_pixel(folder, core, capsys):
    assert refused(capsys, folder, "tween", "dot.png", "dot.png", "-o", "out.png")[0] == 2


def test_pixel_limit_is_adjustable(folder, core, capsys):
    code, message = refused(capsys, folder, "tween", "a.png", "b.png", "-o", "o.png", "--max-pixels", "6143")
    assert code == 2
    assert "6,144 pixels; the limit is 6,143" in message
    with pytest.raises(SystemExit) as left:
        main(["tween", "a.png", "b.png", "-o", "o.png", "--max-pixels", "6144"])
    assert left.value.code == 0


def test_huge_image_is_refused_before_memory_runs_out(folder):
    resource = pytest.importorskip("resource")
    # 30000 x 30000 x 3 bytes are 2.7 GB; a fresh program may take 1.5 GB of memory here
    limit = 1_500_000_000
    done = subprocess.run(
        [sys.executable, "-m", "animeinterp", "tween", "huge.png", "huge.png", "-o", "out.png"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**SUBPROCESS_ENV, "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: huge.png is 30000x30000")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--at", "nan"], "'nan'"),
        (["--at", "2"], "got 2"),
        (["--at", "-0.1"], "got -1/10"),
        (["--at", "0.2,1.5"], "got 3/2"),
        (["--at", "half"], "'half'"),
        (["--at", "0.5", "-n", "2"], "leave out"),
        (["--at", "0.5", "--timing", "linear"], "leave out"),
        (["-n", "0"], "1 or more"),
        (["-n", "two"], "-n"),
        (["--timing", "bounce"], "linear, ease-in, ease-out, ease-in-out"),
        (["--style", "cubist"], "auto, western or japanese"),
        (["--max-pixels", "0"], "--max-pixels"),
        (["--nonsense"], "--nonsense"),
        (["third.png"], "third.png"),
    ],
)
def test_invalid_options(folder, core, capsys, options, expected):
    code, message = refused(capsys, folder, "tween", "a.png", "b.png", "-o", "out.png", *options)
    assert code == 2
    assert expected in message


def test_unknown_command_and_missing_argument(folder, core, capsys):
    assert refused(capsys, folder, "twin")[0] == 2
    assert refused(capsys, folder, "tween", "a.png")[0] == 2


@pytest.mark.parametrize(
    ("target", "code", "expected"),
    [
        ("a.png", 2, "a.png exists already; choose another name or give --force"),
        ("out.bmp", 2, "no known image suffix; expected one of .png"),
        ("out", 2, "no known image suffix"),
        ("-", 2, "cannot write to -: pipes and standard output are not supported"),
        ("/dev/stdout", 2, "cannot write to /dev/stdout: pipes"),
        ("/dev/fd/1", 2, "cannot write to /dev/fd/1: pipes"),
        ("/proc/self/fd/1", 2, "cannot write to /proc/self/fd/1: pipes"),
        ("nowhere/out.png", 1, "nowhere is not a folder; create it"),
        ("a.png/out.png", 1, "a.png is not a folder"),
    ],
)
@pytest.mark.parametrize("command", ["tween", "explain"])
def test_invalid_targets(folder, core, capsys, command, target, code, expected):
    exit_code, message = refused(capsys, folder, command, "a.png", "b.png", "-o", target)
    assert expected in message
    assert exit_code == code


@pytest.mark.parametrize(("second", "target"), [("deep.png", "o.jpg"), ("deep.png", "o.webp"), ("alpha.png", "o.jpg")])
def test_formats_too_small_for_the_frames(folder, core, capsys, second, target):
    code, message = refused(capsys, folder, "tween", second, second, "-o", target)
    assert code == 2
    assert "write to PNG" in message


def test_no_permission_to_write(folder, core, capsys, monkeypatch):
    # root may write anywhere, so the check itself is replaced
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    code, message = refused(capsys, folder, "tween", "a.png", "b.png", "-o", "out.png")
    assert code == 1
    assert "no permission to write" in message


def test_no_permission_when_the_file_is_opened(folder, core, capsys, monkeypatch):
    # as on network drives, which report write access and then refuse
    whole = Path.open

    def refuse(self, mode="r", *args, **kwargs):
        if "x" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return whole(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    code, message = refused(capsys, folder, "tween", "a.png", "b.png", "-o", "out.png")
    assert code == 1
    assert "cannot write out.png: Permission denied" in message


def test_demo_folder_that_cannot_be_made(folder, core, capsys):
    code, message = refused(capsys, folder, "demo", "-o", "a.png/demo")
    assert code == 1
    assert "cannot make the folder" in message


def test_full_disk(folder):
    """A limit on file size instead of a full disk: writing fails in the middle of the file."""
    resource = pytest.importorskip("resource")
    limit = 200
    script = """if True:
        import signal, sys, types
        from animeinterp.cli import main
        from support.stub import Blender
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        core = types.SimpleNamespace(load_interpolator=lambda *args, **options: Blender())
        sys.modules["animeinterp.loading"] = core
        main(["tween", "a.png", "b.png", "-o", "out.png"])
    """
    before = snapshot(folder)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env=SUBPROCESS_ENV,
    )
    assert done.stderr.startswith("error: cannot write out.png: ")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 1
    assert snapshot(folder) == before


class Evil:
    """A pickle that makes a file when it is loaded without restrictions."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("option", ["--weights", "--vgg"])
def test_malicious_pickle(folder, capsys, option):
    (folder / "evil.ckpt").write_bytes(pickle.dumps({"model_state_dict": Evil()}))
    model = "paper" if option == "--weights" else "classical"
    arguments = ["tween", "a.png", "b.png", "-o", "out.png", "--model", model, option, "evil.ckpt"]
    code, message = refused(capsys, folder, *arguments)
    assert code == 1
    assert "evil.ckpt" in message
    assert not (folder / "pwned").exists()


@pytest.mark.parametrize("weights", ["other.pth", "missing.ckpt", "text.png", "empty.png", "folder.png"])
def test_weights_of_another_model(folder, capsys, weights):
    import torch

    torch.save({"layer.weight": torch.zeros(3, 3)}, folder / "other.pth")
    arguments = ["tween", "a.png", "b.png", "-o", "out.png", "--model", "paper", "--weights", weights]
    code, message = refused(capsys, folder, *arguments)
    assert code == 1
    assert weights in message


@pytest.mark.parametrize("arguments", [["--model", "nonsense"], ["--device", "abacus"]])
def test_unknown_model_and_device(folder, capsys, arguments):
    code, message = refused(capsys, folder, "tween", "a.png", "b.png", "-o", "out.png", *arguments)
    assert code == 2
    assert arguments[1] in message
