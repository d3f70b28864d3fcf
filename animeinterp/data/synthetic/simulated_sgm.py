"""What segment-guided matching might say of a synthetic scene, imitated from the truth; matching takes longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Generator, Tensor

if TYPE_CHECKING:
    from animeinterp.data.synthetic.dataset import Scenes

_CELLS = 5  # segments per layer at most: a layer has several colors
_MIN_AREA = 50 / (960 * 540)  # of the frame, and at most; smaller and larger segments are not matched (system §1d)
_MAX_AREA = 0.12
GIVEN, DROPPED, WRONG, DEFORMED = 0.5, 0.2, 0.08, 0.5  # how often: at all; a segment is lost, foreign, fitted affinely


class SimulatedFlow(NamedTuple):
    """Coarse flow as segment-guided matching would give it.

    Attributes:
        coarse01: (N, 2, H, W), x first, px, 0 where unknown.
        coarse10: The reverse flow, of the same form.
        confidence0: (N, 1, H, W), confidence of `coarse01`, in [0, 1].
        confidence1: (N, 1, H, W), confidence of `coarse10`.
    """

    coarse01: Tensor
    coarse10: Tensor
    confidence0: Tensor
    confidence1: Tensor


def simulate_sgm(scenes: Scenes, generator: Generator) -> SimulatedFlow:
    """Coarse flow by segments, as matching gives it, for about half of the scenes; zeros for the rest.

    generator: on the CPU, so that the result is the same on every device. A segment's flow is the mean or an affine fit
    of the true one, with an error; some segments are lost (0, trust 0), some have another segment's flow. Trust falls
    with
    the error, but not surely: a wrong match may look right.
    """
    given = torch.nonzero(torch.rand(len(scenes.t), generator=generator) < GIVEN)[:, 0].to(scenes.t.device)
    none = torch.zeros_like(scenes.flow01)
    if not len(given):
        return SimulatedFlow(none, none, none[:, :1], none[:, :1])
    coarse01, confidence0 = _direction(scenes.flow01[given], scenes.label0[given], scenes.occluded01[given], generator)
    coarse10, confidence1 = _direction(scenes.flow10[given], scenes.label1[given], scenes.occluded10[given], generator)
    return SimulatedFlow(
        none.index_copy(0, given, coarse01), none.index_copy(0, given, coarse10),
        none[:, :1].index_copy(0, given, confidence0), none[:, :1].index_copy(0, given, confidence1),
    )  # fmt: skip


def _direction(flow: Tensor, label: Tensor, occluded: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    device, (count, height, width) = flow.device, label.shape
    layers = int(label.max()) + 1
    segments = layers * _CELLS
    segment = label * _CELLS + _cells(count, height, width, generator).to(device)
    index = (segment + torch.arange(count, device=device)[:, None, None] * segments).flatten()
    total = count * segments

    x, y = _places(height, width, device)
    ones = torch.ones_like(x)
    basis = torch.stack([ones, x, y]).flatten(1).repeat(1, count)  # 1, x, y, each in [-1, 1]
    motion = flow.transpose(0, 1).flatten(1)
    area = _sums(ones.flatten().repeat(count)[None], index, total)[0]
    unseen = _sums(occluded.flatten()[None], index, total)[0] / area.clamp(min=1)

    fit = _affine_fits(basis, motion, index, total)
    plain = torch.rand(total, generator=generator).to(device) >= DEFORMED
    mean = _sums(motion, index, total) / area.clamp(min=1)
    fit[:, 0] = torch.where(plain, mean, fit[:, 0])
    fit[:, 1:] = torch.where(plain, 0.0, fit[:, 1:])

    speed = mean.norm(dim=0)
    error = torch.randn(2, total, generator=generator).to(device) * (0.5 + 0.05 * speed)
    wrong = torch.rand(total, generator=generator).to(device) < WRONG
    other = (torch.rand(total, generator=generator) * layers).long().to(device) * _CELLS
    other = other + torch.arange(total, device=device) // segments * segments
    foreign = mean[:, other]
    fit[:, 0] = torch.where(wrong, foreign, fit[:, 0]) + error
    fit[:, 1:] = torch.where(wrong, 0.0, fit[:, 1:])

    whole = height * width
    lost = (torch.rand(total, generator=generator).to(device) < DROPPED) | (unseen > 0.6)
    lost |= (area < _MIN_AREA * whole) | (area > _MAX_AREA * whole)
    off = (error.norm(dim=0) + torch.where(wrong, (foreign - mean).norm(dim=0), 0.0)) / (0.06 * max(height, width))
    luck = torch.rand(2, total, generator=generator).to(device)
    trust = (1 - 0.2 * luck[0]) * (1 - off.clamp(max=0.8) * luck[1])
    trust = torch.where(lost, 0.0, trust)

    own = fit[:, :, index]
    coarse = (own * basis).sum(1) * (trust > 0)[index]
    coarse = coarse.reshape(2, count, height, width).transpose(0, 1).contiguous()
    return coarse, trust[index].reshape(count, 1, height, width)


def _affine_fits(basis: Tensor, motion: Tensor, index: Tensor, total: int) -> Tensor:
    """Least-squares affine flow of each segment, (2, 3, total), of pixels' basis (3, P) and motion (2, P)."""
    normal = torch.stack([_sums(basis[k] * basis, index, total) for k in range(3)])
    right = torch.stack([_sums(basis * motion[k], index, total) for k in range(2)])
    # a little weight on the diagonal: thin segments do not determine all six numbers
    ridge = 1e-3 * torch.diag(torch.tensor([0.0, 1.0, 1.0], device=basis.device)) * normal[0, 0][:, None, None]
    ridge = ridge + 1e-6 * torch.eye(3, device=basis.device)
    fit: Tensor = torch.linalg.solve(normal.permute(2, 0, 1) + ridge, right.permute(2, 1, 0))
    return fit.permute(2, 1, 0).contiguous()


def _sums(values: Tensor, index: Tensor, total: int) -> Tensor:
    """Sums (C, total) of values (C, P) by index."""
    return torch.zeros(len(values), total, device=values.device).index_add_(1, index, values)


def _cells(count: int, height: int, width: int, generator: Generator) -> Tensor:
    """Voronoi cells of random points, int64 (N, H, W)."""
    x, y = _places(height, width, torch.device("cpu"))
    points = torch.rand(count, _CELLS, 2, generator=generator) * 2 - 1
    apart = (x - points[..., 0, None, None]) ** 2 + (y - points[..., 1, None, None]) ** 2
    return apart.argmin(1)


def _places(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, device=device), torch.linspace(-1, 1, width, device=device), indexing="ij"
    )
    return x, y
