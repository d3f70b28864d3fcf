from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from animeinterp.net.ops.normalization import HALF, denormalize, normalize

means = st.tuples(*[st.floats(-2, 2)] * 3)
deviations = st.tuples(*[st.floats(0.05, 4)] * 3)


@given(means, deviations, st.integers(0, 10**6))
def test_denormalize_inverts_normalize(mean: tuple[float, ...], std: tuple[float, ...], seed: int) -> None:
    image = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(denormalize(normalize(image, mean, std), mean, std), image)
    torch.testing.assert_close(normalize(denormalize(image, mean, std), mean, std), image)


def test_values() -> None:
    image = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 3).expand(3, 1, 3)
    assert normalize(image, *HALF)[0, 0].tolist() == [-1, 0, 1]
    shifted = normalize(image, (0.0, 0.5, 1.0), (1.0, 2.0, 4.0))
    assert shifted[:, 0, 2].tolist() == [1, 0.25, 0]
