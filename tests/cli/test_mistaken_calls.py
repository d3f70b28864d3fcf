"""Mistaken calls of the slow commands are refused before torch is imported, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys

import cv2
import pytest

from conftest import draw_scene

RUN = """
name = "x"
folder = "run"
[[source]]
kind = "crops"
path = "crops"
"""
FLOW_RUN = f'init_flow = "nope.safetensors"{RUN}'
CALLS = {
    "video nope.mkv there.csv -o new": "nope.mkv, found nothing",
    "video there.csv w.ckpt -o there.csv": "is not a folder",
    "video there.csv w.ckpt": "-o FOLDER/",
    "video there.csv set -o new --rate x": "frame rate",
    "video there.csv there.csv -o new --dry-run": "would both become",
    "video there.csv --dry-run": "not a film",
    "inbetween nope -o new": "at nope, found nothing",
    "inbetween empty -o new": "two or more key drawings",
    "inbetween set/a -o there.csv": "is not a folder",
    "inbetween set/a -o set/a": "give another folder",
    "inbetween set/a -o new --timing bounce": "expected a timing out of",
    "inbetween set/a -o new --chart there.csv": "first row names columns",
    "inbetween set/a -o new --chart nope.xdts": "found nothing",
    "inbetween set/a -o new --name key.png": "names with one number",
    "inbetween set/a -o new --name ../%04d.png": "do not trust",
    "inbetween set/a -o foreign --model nope": "expected a model out of",
    "evaluate nowhere": "is not a folder",
    "evaluate set --model nope": "expected a model out of",
    "evaluate set --model ../x --save drawn": "expected a model out of",
    "evaluate set --model paper": "needs its weights",
    "evaluate set --model classical=w.ckpt": "has no weights",
    "evaluate set --weights nope.ckpt": "nope.ckpt, found nothing",
    "evaluate set --weights set": "is a folder",
    "evaluate set --vgg nope.pth": "nope.pth, found nothing",
    "evaluate set --lpips nope.ckpt": "nope.ckpt, found nothing",
    "evaluate set --device xyz": "expected a device",
    "evaluate set --csv there.csv": "exists already",
    "evaluate set --csv nowhere/a.csv": "is not a folder",
    "evaluate set --csv set": "is a folder",
    "evaluate set --out there.csv": "is not a folder",
    "evaluate set --out foreign": "no scores.json",
    "evaluate set --out drawn --save drawn": "leave out --save",
    "evaluate set --predictions nowhere": "is not a folder",
    "evaluate set --peers there.csv": "holds no scores",
    "evaluate set --annotations nowhere": "is not a folder",
    "train --config nope.toml": "nope.toml, found nothing",
    "train --config run.toml": "crops is not a folder",
    "train --config flow.toml": "nope.safetensors, found nothing",
    "train --config run.toml --resume nope.pt": "nope.pt, found nothing",
    "train --config run.toml --resume there.csv": "is text",
    "train --config run.toml --minutes inf": "number of minutes",
    "train --config there.csv": "is not TOML",
    "weights export nope.pt -o w.safetensors": "nope.pt, found nothing",
    "weights export there.csv -o w.safetensors": "is text",
    "weights export nope.pt -o there.csv": "exists already",
    "train --config run.toml --minutes nan": "minutes",
    "dataset preview nowhere -o a.png": "is not a folder",
    "dataset preview set -o there.csv": "exists already",
    "dataset crops nowhere -o crops -n 1": "is not a folder",
    "dataset crops set -o crops -n 1 --kind nope": "expected a kind",
    "dataset crops empty -o crops -n 1": "cannot tell what",
    "dataset crops set -o there.csv -n 1": "is not a folder",
    "dataset crops set -o crops -n 1 --label nope": "expected a model out of",
    "dataset crops set -o crops -n 1 --label paper": "needs its weights",
    "dataset crops set -o crops -n 1 --times 2": "give the model too",
    "dataset build nope.mkv -o mine": "found nothing",
    "dataset build nope.mkv -o foreign": "holds other things",
    "dataset prune mine nope.txt": "found nothing",
    "dataset flows nowhere": "is not a folder",
    "dataset flows set --vgg nope.pth": "nope.pth, found nothing",
    "dataset flows set -o foreign": "holds other things",
}
CODE = """
import shlex, sys
from animeinterp.cli import main
for call in sys.argv[1:]:
    try:
        main(shlex.split(call))
    except SystemExit as left:
        print("exit", left.code, "torch" in sys.modules, file=sys.stderr)
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("set/a", "foreign/frames", "empty"):
        (tmp_path / name).mkdir(parents=True)
    for number in (1, 2, 3):
        cv2.imwrite(str(tmp_path / "set" / "a" / f"frame{number}.png"), draw_scene(4 * number, (128, 80))[..., ::-1])
    (tmp_path / "there.csv").write_text("<html>\n")
    (tmp_path / "w.ckpt").touch()
    (tmp_path / "run.toml").write_text(RUN)
    (tmp_path / "flow.toml").write_text(FLOW_RUN)
    return tmp_path


def test_mistaken_calls_answer_before_torch_and_leave_nothing(folder):
    before = sorted(folder.rglob("*"))
    done = subprocess.run([sys.executable, "-c", CODE, *CALLS], capture_output=True, text=True, cwd=folder)
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(CALLS), done.stderr
    for call, message, left in zip(CALLS, lines[::2], lines[1::2], strict=True):
        assert message.startswith("error: "), call
        assert CALLS[call] in message, call
        assert left in ("exit 1 False", "exit 2 False"), f"{call}: {left}"
    assert sorted(folder.rglob("*")) == before
    assert (folder / "there.csv").read_text() == "<html>\n"
