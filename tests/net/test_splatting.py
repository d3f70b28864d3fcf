from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from animeinterp.errors import UsageError
from animeinterp.net.ops.splatting import splat, splat_sum_plain


def random_case(
    seed: int,
    n: int = 2,
    c: int = 3,
    h: int = 7,
    w: int = 9,
    reach: float = 4,
    dtype: torch.dtype = torch.float32,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(n, c, h, w, generator=generator, dtype=dtype)
    flow = reach * torch.randn(n, 2, h, w, generator=generator, dtype=dtype)
    return source, flow, torch.randn(n, 1, h, w, generator=generator, dtype=dtype)


@pytest.mark.parametrize("mode", ["sum", "average", "softmax"])
def test_zero_flow_is_identity(mode: str) -> None:
    source, flow, z = random_case(0)
    result = splat(source, 0 * flow, z if mode == "softmax" else None, mode)
    torch.testing.assert_close(result.warped, source)
    assert torch.equal(result.density, torch.ones_like(z))


def test_integer_flow_is_an_exact_shift_with_holes_behind() -> None:
    source, flow, _ = random_case(1, n=1)
    flow[:, 0], flow[:, 1] = 3, -2
    result = splat(source, flow)
    assert torch.equal(result.warped[..., :-2, 3:], source[..., 2:, :-3])
    assert torch.equal(result.warped[..., :3], torch.zeros(1, 3, 7, 3))
    assert result.density[..., -2:, :].count_nonzero() == 0
    assert result.density.sum() == 5 * 6


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8), st.sampled_from([0.3, 2.0, 30.0]))
def test_compiled_kernel_equals_the_plain_definition(seed: int, height: int, width: int, reach: float) -> None:
    source, flow, _ = random_case(seed, h=height, w=width, reach=reach)
    torch.testing.assert_close(splat(source, flow, mode="sum").warped, splat_sum_plain(source, flow))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 1e9])
def test_flow_that_leads_nowhere_contributes_nothing(bad: float) -> None:
    source, flow, _ = random_case(2, reach=1)
    without = source.clone()
    without[:, :, 3, 4] = 0
    finite = flow.clone()
    for axis in (0, 1):
        flow[:, axis, 3, 4] = bad
        result = splat(source, flow, mode="sum")
        torch.testing.assert_close(result.warped, splat(without, finite, mode="sum").warped)
        torch.testing.assert_close(result.warped, splat_sum_plain(source, flow))
        flow[:, axis, 3, 4] = 0


@pytest.mark.parametrize("mode", ["sum", "average", "softmax"])
def test_gradients(mode: str) -> None:
    source, flow, z = (x.requires_grad_() for x in random_case(3, h=5, w=6, dtype=torch.float64))
    if mode == "softmax":
        assert torch.autograd.gradcheck(lambda s, f, i: splat(s, f, i, "softmax"), (source, flow, z))
    else:
        assert torch.autograd.gradcheck(lambda s, f: splat(s, f, mode=mode), (source, flow))


def test_plain_and_compiled_gradients_agree() -> None:
    source, flow, _ = random_case(4)
    found = []
    for warp in (splat_sum_plain, lambda s, f: splat(s, f, mode="sum").warped):
        inputs = source.clone().requires_grad_(), flow.clone().requires_grad_()
        warp(*inputs).square().sum().backward()
        found.append([x.grad for x in inputs])
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain)


def test_result_does_not_depend_on_threads_or_memory_layout() -> None:
    source, flow, _ = random_case(5, h=40, w=30)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 5, 64):
            torch.set_num_threads(count)
            results.append(splat(source, flow).warped)
        results.append(splat(source.contiguous(memory_format=torch.channels_last), flow).warped)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(result, results[0]) for result in results)


def collision() -> tuple[torch.Tensor, torch.Tensor]:
    """Two pixels that land on the third."""
    source = torch.tensor([1.0, 2.0, 9.0]).view(1, 1, 1, 3)
    flow = torch.zeros(1, 2, 1, 3)
    flow[0, 0, 0] = torch.tensor([2.0, 1.0, 5.0])
    return source, flow


def test_average_and_softmax_of_a_collision() -> None:
    source, flow = collision()
    assert splat(source, flow).warped[0, 0, 0, 2] == 1.5
    z = torch.tensor([0.0, 3.0**0.5, 0.0]).view(1, 1, 1, 3)
    share = torch.exp(z[..., 1]) / (1 + torch.exp(z[..., 1]))
    result = splat(source, flow, z, "softmax")
    torch.testing.assert_close(result.warped[..., 2], 1 + share)
    assert result.density[0, 0, 0].tolist() == [0, 0, 2]


@pytest.mark.parametrize("shift", [-1e4, 0.0, 1e4])
def test_softmax_is_stable_and_ignores_a_common_shift(shift: float) -> None:
    source, flow = collision()
    z = torch.tensor([1.0, 2.0, -500.0]).view(1, 1, 1, 3)
    flow[0, 0, 0, 2] = -1
    result = splat(source, flow, z + shift, "softmax")
    expected = splat(source, flow, z, "softmax")
    torch.testing.assert_close(result.warped, expected.warped)
    assert result.warped[0, 0, 0, 1] == 9, "a pixel of tiny importance that lands alone is no hole"
    assert result.density[0, 0, 0].tolist() == [0, 1, 2]


def test_half_precision_sources_are_summed_in_float32() -> None:
    source, flow, _ = random_case(6)
    result = splat(source.bfloat16(), flow)
    assert result.warped.dtype == torch.bfloat16
    torch.testing.assert_close(result.warped, splat(source.bfloat16().float(), flow).warped.bfloat16())


def test_arguments_that_do_not_fit_are_refused() -> None:
    source, flow, z = random_case(7)
    with pytest.raises(UsageError, match="flow must be"):
        splat(source, flow[..., :-1])
    with pytest.raises(UsageError, match="needs an importance"):
        splat(source, flow, mode="softmax")
    with pytest.raises(UsageError, match="no other mode takes one"):
        splat(source, flow, z, "average")
    with pytest.raises(UsageError, match="importance must be"):
        splat(source, flow, z[:, :, :-1], "softmax")
    with pytest.raises(UsageError, match="floating point"):
        splat(source.int(), flow)
    with pytest.raises(UsageError, match="mode is"):
        splat(source, flow, mode="linear")  # type: ignore[arg-type]
