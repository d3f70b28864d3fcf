"""The paper's network against the outputs of the published implementation (tests/golden/network.npz)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from animeinterp.config import PAPER
from animeinterp.errors import FrameError
from animeinterp.net.ops.geometry import scale_flow
from animeinterp.net.ops.splatting import splat
from animeinterp.net.paper.model import AnimeInterp, Features

GOLDEN = Path(__file__).parents[1] / "golden"

# Of each tensor's largest value: float32 sums of thousands of products in another order, over 12 iterations.
TOLERANCE = 1e-4


def seed_parameters(model: AnimeInterp) -> None:
    """The parameters the golden outputs were made with."""
    state = model.state_dict()
    for i, name in enumerate(sorted(state)):
        shape, generator = state[name].shape, torch.Generator().manual_seed(1000 + i)
        if len(shape) >= 2:
            scale = (0.8 if name.startswith("flownet") else 1.2) / state[name][0].numel() ** 0.5
            state[name] = torch.randn(shape, generator=generator) * scale
        elif name.endswith(".bias"):
            state[name] = torch.randn(shape, generator=generator) * 0.01
        else:
            state[name] = torch.full(shape, 0.25)
    model.load_state_dict(state)


@pytest.fixture(scope="module")
def model() -> AnimeInterp:
    model = AnimeInterp(PAPER.network).eval()
    seed_parameters(model)
    return model


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / "network.npz") as arrays:
        tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    for name in ("frame0", "frame1"):
        tensors[name] = tensors[name].permute(2, 0, 1).float() / 255
    return {name: tensor[None] for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def features(model: AnimeInterp, golden: dict[str, torch.Tensor]) -> tuple[Features, Features]:
    with torch.inference_mode():
        return model.encode(golden["frame0"]), model.encode(golden["frame1"])


@pytest.fixture(scope="module")
def flows(
    model: AnimeInterp, golden: dict[str, torch.Tensor], features: tuple[Features, Features]
) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return model.flow(*features, golden["guide01"], golden["guide10"])


def assert_golden(found: torch.Tensor, expected: torch.Tensor, tolerance: float = TOLERANCE) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def test_parameters_have_the_published_names_and_shapes(model: AnimeInterp) -> None:
    ours = [f"{name} {tuple(value.shape)}" for name, value in sorted(model.state_dict().items())]
    assert ours == (GOLDEN / "network_parameters.txt").read_text().splitlines()


def test_features(features: tuple[Features, Features], golden: dict[str, torch.Tensor]) -> None:
    for name, level in zip(("full", "half", "quarter"), features[0].pyramid, strict=True):
        assert_golden(level[:, ::8], golden["feat_" + name])


def test_gate(model: AnimeInterp, features: tuple[Features, Features], golden: dict[str, torch.Tensor]) -> None:
    start = scale_flow(golden["guide01"], (20, 24))
    assert_golden(start, golden["flow01_init"])
    with torch.inference_mode():
        assert_golden(model.flownet.gate(features[0].small, features[1].small, start), golden["gate"])


def test_flows(flows: tuple[torch.Tensor, torch.Tensor], golden: dict[str, torch.Tensor]) -> None:
    for found, name in zip(flows, ("flow01", "flow10"), strict=True):
        assert_golden(found, golden[name])


def test_splat(golden: dict[str, torch.Tensor]) -> None:
    found = splat(golden["frame0"], golden["guide01"] / 2, mode="sum")
    assert_golden(found.warped, golden["splat_sum"])
    assert_golden(found.density, golden["splat_norm"])


@pytest.mark.parametrize("t", [0.5, 0.25])
def test_frames(model: AnimeInterp, golden: dict[str, torch.Tensor], t: float) -> None:
    inputs = [golden[name] for name in ("frame0", "frame1", "guide01", "guide10")]
    with torch.inference_mode():
        assert_golden(model(*inputs, t), golden[f"frame_t{t}"])


def test_bf16_stays_near(
    model: AnimeInterp, golden: dict[str, torch.Tensor], flows: tuple[torch.Tensor, torch.Tensor]
) -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        features = model.encode(golden["frame0"]), model.encode(golden["frame1"])
        found = model.flow(*features, golden["guide01"], golden["guide10"])
        frame = model.synthesize(
            golden["frame0"], golden["frame1"], features[0].pyramid, features[1].pyramid, *found, 0.5
        )
    assert found[0].dtype == frame.dtype == torch.float32
    assert (found[0] - flows[0]).abs().max() < 0.1  # px, of flows up to 15 px
    expected = golden["frame_t0.5"]
    assert (frame - expected).abs().mean() < 0.01 * expected.abs().max()


def test_swapping_the_frames_swaps_the_flows(
    model: AnimeInterp,
    golden: dict[str, torch.Tensor],
    features: tuple[Features, Features],
    flows: tuple[torch.Tensor, torch.Tensor],
) -> None:
    with torch.inference_mode():
        swapped = model.flow(features[1], features[0], golden["guide10"], golden["guide01"])
    torch.testing.assert_close(swapped[1], flows[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(swapped[0], flows[1], rtol=0, atol=1e-4)


def test_a_batch_is_its_samples(model: AnimeInterp) -> None:
    generator = torch.Generator().manual_seed(0)
    frames = [torch.rand(2, 3, 24, 40, generator=generator) for _ in range(2)]
    coarse = [torch.randn(2, 2, 24, 40, generator=generator) for _ in range(2)]
    with torch.inference_mode():
        both = model(*frames, *coarse, 0.5)
        second = model(*(x[1:] for x in (*frames, *coarse)), 0.5)
    torch.testing.assert_close(both[1:], second, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (37, 53), (66, 70)])
@pytest.mark.parametrize("mode", ["average", "softmax"])
def test_any_size_is_kept(model: AnimeInterp, size: tuple[int, int], mode: str) -> None:
    other = AnimeInterp(replace(PAPER.network, splat=mode, apply_gate=True, coarse_flow_added=1, iterations=3)).eval()
    other.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(0)
    frames = [torch.rand(1, 3, *size, generator=generator) for _ in range(2)]
    coarse = [torch.randn(1, 2, *size, generator=generator) for _ in range(2)]
    with torch.inference_mode():
        flow01, flow10 = other.flow(other.encode(frames[0]), other.encode(frames[1]), *coarse)
        drawn = other(*frames, *coarse, 0.3)
    assert flow01.shape == flow10.shape == (1, 2, *size)
    assert drawn.shape == (1, 3, *size)
    assert drawn.isfinite().all()


def test_training_draws_the_same_frame_as_inference(model: AnimeInterp) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(1, 3, 24, 40, generator=generator) for _ in range(2)]
    inputs += [torch.randn(1, 2, 24, 40, generator=generator) for _ in range(2)]
    with torch.inference_mode():
        expected = model(*inputs, 0.5)
    drawn = model(*inputs, 0.5)
    assert drawn.requires_grad
    assert (drawn - expected).abs().max() < TOLERANCE * expected.abs().max()


def test_frames_too_small_are_refused(model: AnimeInterp) -> None:
    with pytest.raises(FrameError, match="at least 16x16"):
        model.encode(torch.rand(1, 3, 15, 64))
    with pytest.raises(FrameError, match=r"\(N, 3, H, W\)"):
        model.encode(torch.rand(3, 64, 64))
