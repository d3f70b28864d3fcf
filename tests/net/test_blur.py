"""The Gaussian blur of drawings and differences."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import gaussian_filter

from animeinterp.net.ops.blur import gaussian_blur


@pytest.mark.parametrize("records_gradients", [False, True])  # by OpenCV, by torch
@pytest.mark.parametrize("size", [(20, 33), (5, 40)])  # higher and lower than the kernel
@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_it_is_the_gaussian_filter_of_scipy(sigma, size, records_gradients):
    planes = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.set_grad_enabled(records_gradients):
        blurred = gaussian_blur(planes, sigma)
    radius = [min(round(4 * sigma), length - 1) for length in size]
    expected = gaussian_filter(planes.numpy(), (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, *radius))
    torch.testing.assert_close(blurred, torch.from_numpy(expected), atol=2e-6, rtol=0)
