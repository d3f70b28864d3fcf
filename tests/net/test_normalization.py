"""Normalization of images for networks."""

from __future__ import annotations

import torch

from animeinterp.net.ops.normalization import HALF, normalize


def test_values() -> None:
    image = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 3).expand(3, 1, 3)
    assert normalize(image, *HALF)[0, 0].tolist() == [-1, 0, 1]
    shifted = normalize(image, (0.0, 0.5, 1.0), (1.0, 2.0, 4.0))
    assert shifted[:, 0, 2].tolist() == [1, 0.25, 0]
