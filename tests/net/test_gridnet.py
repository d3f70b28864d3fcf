from __future__ import annotations

import pytest
import torch
from torch import nn

from animeinterp.net.ops.layers import PReLU
from animeinterp.net.paper.gridnet import FeaturePyramid, GridNet


@pytest.fixture(scope="module")
def net() -> GridNet:
    torch.manual_seed(0)
    return GridNet().eval()


def warped(height: int, width: int) -> list[torch.Tensor]:
    half, quarter = (-(-height // 2), -(-width // 2)), (-(-height // 4), -(-width // 4))
    sizes = ((6, height, width), (64, height, width), (128, *half), (192, *quarter))
    return [torch.rand(1, *size) for size in sizes]


@pytest.mark.parametrize("size", [(16, 16), (17, 16), (18, 21), (19, 23), (33, 34)])
def test_pyramid_feeds_the_grid_at_any_size_and_size_is_kept(net: GridNet, size: tuple[int, int]) -> None:
    pyramid = FeaturePyramid()(torch.rand(1, 3, *size))
    inputs = warped(*size)
    assert [tuple(level.shape[2:]) for level in pyramid] == [tuple(x.shape[2:]) for x in inputs[1:]]
    assert [level.shape[1] for level in pyramid] == [32, 64, 96]
    with torch.inference_mode():
        assert net(*inputs).shape == (1, 3, *size)


def test_padding_does_not_reach_frames_that_need_none(net: GridNet) -> None:
    """A frame padded by hand to a multiple of 4 gives what the net draws for the frame itself."""
    frames, full, half, quarter = warped(18, 21)
    with torch.inference_mode():
        drawn = net(frames, full, half, quarter)
        pad = nn.functional.pad
        by_hand = net(
            pad(frames, (0, 3, 0, 2), mode="replicate"),
            pad(full, (0, 3, 0, 2), mode="replicate"),
            pad(half, (0, 1, 0, 1), mode="replicate"),
            quarter,
        )
    assert torch.equal(drawn, by_hand[..., :18, :21])


@pytest.mark.parametrize("inplace", [True, False])
def test_prelu_is_torchs_with_and_without_gradients(inplace: bool) -> None:
    ours, plain = PReLU(inplace), nn.PReLU()
    x = torch.randn(2, 3, 4, 5)
    before = x.clone()
    torch.testing.assert_close(ours(x), plain(before))
    assert torch.equal(x, before), "with gradients the input stays"
    with torch.no_grad():
        torch.testing.assert_close(ours(x), plain(before))
    assert torch.equal(x, before) != inplace


def test_inference_equals_training_mode(net: GridNet) -> None:
    inputs = warped(20, 24)
    kept = [x.clone() for x in inputs]
    expected = net(*inputs)
    with torch.inference_mode():
        torch.testing.assert_close(net(*inputs), expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(x, y) for x, y in zip(inputs, kept, strict=True)), "inputs are not overwritten"
