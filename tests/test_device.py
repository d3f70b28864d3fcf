"""Which device is chosen, and the message if a device is not available."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from animeinterp import device, loading
from animeinterp.builder import try_out
from animeinterp.cli import main
from animeinterp.device import check_device_name, choose_device
from animeinterp.errors import DeviceWarning, UsageError
from animeinterp.loading import load_interpolator


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that sets the number of CUDA devices that torch reports, or torch's error."""

    def set_gpu(count=0, built="13.0", trouble=None):
        def init():
            if trouble:
                raise RuntimeError(trouble)

        monkeypatch.setattr(torch.version, "cuda", built)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "init", init)

    return set_gpu


def refusal(name):
    with pytest.raises(UsageError) as refused:
        choose_device(name)
    return str(refused.value)


@pytest.mark.parametrize("name", ["nonsense", "cuda:x", "cuda:", "cuda:-1", "", "auto:1", "meta", "CUDA", "cpu "])
def test_names_that_are_not_devices(name):
    with pytest.raises(UsageError, match="expected a device such as auto"):
        check_device_name(name)


@pytest.mark.parametrize("command", ["tween", "explain", "demo"])
def test_a_mistaken_device_is_refused_without_torch(command, tmp_path):
    arguments = [] if command == "demo" else ["a.png", "b.png"]
    code = (
        f"import sys; sys.argv = {['x', command, *arguments, '--device', 'gpu']!r}\nfrom animeinterp.cli import main\n"
    )
    code += "try: main()\nexcept SystemExit as left: print(left.code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "2 False\n"
    assert "got 'gpu'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_cuda_of_a_build_without_it_names_the_command(gpu):
    gpu(built=None)
    assert "built without CUDA" in refusal("cuda")
    assert "pip install" in refusal("cuda:1")


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("Found no NVIDIA driver on your system. Please check", "no NVIDIA driver was found"),
        ("The NVIDIA driver on your system is too old (found version 11040)", "too old for CUDA 13.0; update"),
        ("No CUDA GPUs are available", "CUDA_VISIBLE_DEVICES"),
        ("CUDA unknown error - this may be due to\nmore", "CUDA unknown error"),
        (None, "no GPU can be seen"),
    ],
)
def test_the_reason_why_cuda_cannot_be_used(gpu, trouble, message):
    gpu(trouble=trouble)
    assert message in refusal("cuda")
    assert "\n" not in refusal("cuda")


@pytest.mark.parametrize(("count", "message"), [(1, "there is 1 CUDA device, cuda:0"), (2, "cuda:0 to cuda:1")])
def test_a_number_too_high(gpu, count, message):
    gpu(count=count)
    assert message in refusal("cuda:7")


@pytest.mark.parametrize(
    ("system", "built", "message"), [("linux", False, "Apple's"), ("darwin", False, "built without")]
)
def test_the_reason_why_mps_cannot_be_used(monkeypatch, system, built, message):
    monkeypatch.setattr(device.sys, "platform", system)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: built)
    assert message in refusal("mps")


def test_auto_prefers_an_available_gpu(gpu, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    gpu(count=0)
    assert choose_device("auto") == "mps"
    gpu(count=1)
    assert choose_device("auto") == "cuda"
    gpu(count=0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize("model", ["cel", "classical"])
def test_a_gpu_that_cannot_draw_is_replaced_by_the_cpu_with_a_warning(monkeypatch, model):
    monkeypatch.setattr(loading, "choose_device", lambda name: "cpu" if name == "cpu" else "meta")
    with pytest.warns(DeviceWarning, match="the GPU"):
        drawer = load_interpolator(model)
    assert drawer.device.type == "cpu"
    with pytest.raises(UsageError, match="cannot draw"):
        load_interpolator(model, "mps")


@pytest.mark.parametrize("model", ["cel", "classical", "paper", "studio"])
def test_the_trial_draws_with_every_kind_of_network(monkeypatch, model):
    from animeinterp.builder import build_network
    from animeinterp.config import PRESETS, splat_mode

    class Device(str):
        def startswith(self, prefix):
            return False

    network = build_network(PRESETS[model].network)
    network = network and network.eval()
    assert try_out(network, splat_mode(PRESETS[model]), Device("cpu")) == ""


def test_too_old_a_gpu_is_explained():
    error = RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with")
    assert "generation" in device.explain_refusal(error)


def test_the_note_is_printed(monkeypatch, tmp_path, capsys, pair):
    from animeinterp.io.images import write_image

    monkeypatch.delenv("ANIMEINTERP_DEBUG", raising=False)
    monkeypatch.setattr(loading, "choose_device", lambda name: "cpu" if name == "cpu" else "meta")
    names = [str(tmp_path / f"{name}.png") for name in "ab"]
    for name, frame in zip(names, pair, strict=True):
        write_image(tmp_path / name, np.ascontiguousarray(frame))
    with pytest.raises(SystemExit) as left:
        main(["tween", *names, "-o", str(tmp_path / "m.png"), "--model", "classical"])
    assert left.value.code == 0
    assert capsys.readouterr().err.startswith("note: the GPU (meta) cannot draw")
