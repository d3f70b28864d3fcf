"""Simulated coarse flow of synthetic scenes: derived from the true flow, since segment-guided matching is slower."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Generator, Tensor

if TYPE_CHECKING:
    from animeinterp.data.synthetic.dataset import Scenes

_CELLS = 5  # segments per layer, since a layer has several colors
# Fractions of the frame; matching skips smaller and larger segments, as `animeinterp.sgm.coarse_flow` does.
_MIN_AREA, _MAX_AREA = 50 / (960 * 540), 0.12
_MAX_OCCLUDED = 0.6  # fraction of a segment; more of it is not matched
GIVEN = 0.5  # probability that a scene has coarse flow
# Probabilities that a segment is not matched, is matched with another one, has an affine flow instead of a shift
DROPPED, WRONG, DEFORMED = 0.2, 0.08, 0.5


class SimulatedFlow(NamedTuple):
    """Coarse flow in both directions.

    Attributes:
        coarse01: (N, 2, H, W) px, x first, 0 where unknown.
        coarse10: The reverse flow, of the same form.
        confidence0: Confidence of `coarse01`, (N, 1, H, W) in [0, 1].
        confidence1: Confidence of `coarse10`.
    """

    coarse01: Tensor
    coarse10: Tensor
    confidence0: Tensor
    confidence1: Tensor


def simulate_sgm(scenes: Scenes, generator: Generator) -> SimulatedFlow:
    """Simulate coarse flow for about half of the scenes; it is 0 for the others.

    The flow of a segment is the mean or an affine fit of the true flow, plus an error. Some segments have no flow, some
    that of another segment. The confidence falls with the error, but not reliably: a wrong match can look right.

    Args:
        scenes: Scenes with true flow.
        generator: Random numbers on the CPU, so that the result is the same on every device.
    """
    given = torch.nonzero(torch.rand(len(scenes.t), generator=generator) < GIVEN)[:, 0].to(scenes.t.device)
    zero = torch.zeros_like(scenes.flow01)
    if not len(given):
        return SimulatedFlow(zero, zero, zero[:, :1], zero[:, :1])
    coarse01, confidence0 = _simulate_direction(
        scenes.flow01[given], scenes.label0[given], scenes.occluded01[given], generator
    )
    coarse10, confidence1 = _simulate_direction(
        scenes.flow10[given], scenes.label1[given], scenes.occluded10[given], generator
    )
    return SimulatedFlow(
        zero.index_copy(0, given, coarse01), zero.index_copy(0, given, coarse10),
        zero[:, :1].index_copy(0, given, confidence0), zero[:, :1].index_copy(0, given, confidence1),
    )  # fmt: skip


def _simulate_direction(flow: Tensor, label: Tensor, occluded: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Simulate the coarse flow and the confidence of one direction."""
    device, (count, height, width) = flow.device, label.shape
    layers = int(label.max()) + 1
    segments = layers * _CELLS
    segment = label * _CELLS + _voronoi_cells(count, height, width, generator).to(device)
    index = (segment + torch.arange(count, device=device)[:, None, None] * segments).flatten()
    total = count * segments

    x, y = _coordinates(height, width, device)
    ones = torch.ones_like(x)
    basis = torch.stack([ones, x, y]).flatten(1).repeat(1, count)
    motion = flow.transpose(0, 1).flatten(1)
    area = _segment_sums(ones.flatten().repeat(count)[None], index, total)[0]
    occluded_fraction = _segment_sums(occluded.flatten()[None], index, total)[0] / area.clamp(min=1)

    fit = _affine_fits(basis, motion, index, total)
    is_shift = torch.rand(total, generator=generator).to(device) >= DEFORMED
    mean = _segment_sums(motion, index, total) / area.clamp(min=1)
    fit[:, 0] = torch.where(is_shift, mean, fit[:, 0])
    fit[:, 1:] = torch.where(is_shift, 0.0, fit[:, 1:])

    speed = mean.norm(dim=0)
    error = torch.randn(2, total, generator=generator).to(device) * (0.5 + 0.05 * speed)
    wrong = torch.rand(total, generator=generator).to(device) < WRONG
    other = (torch.rand(total, generator=generator) * layers).long().to(device) * _CELLS
    other = other + torch.arange(total, device=device) // segments * segments
    other_mean = mean[:, other]
    fit[:, 0] = torch.where(wrong, other_mean, fit[:, 0]) + error
    fit[:, 1:] = torch.where(wrong, 0.0, fit[:, 1:])

    pixels = height * width
    unmatched = (torch.rand(total, generator=generator).to(device) < DROPPED) | (occluded_fraction > _MAX_OCCLUDED)
    unmatched |= (area < _MIN_AREA * pixels) | (area > _MAX_AREA * pixels)
    total_error = error.norm(dim=0) + torch.where(wrong, (other_mean - mean).norm(dim=0), 0.0)
    relative_error = total_error / (0.06 * max(height, width))
    noise = torch.rand(2, total, generator=generator).to(device)
    confidence = (1 - 0.2 * noise[0]) * (1 - relative_error.clamp(max=0.8) * noise[1])
    confidence = torch.where(unmatched, 0.0, confidence)

    coarse = (fit[:, :, index] * basis).sum(1) * (confidence > 0)[index]
    coarse = coarse.reshape(2, count, height, width).transpose(0, 1).contiguous()
    return coarse, confidence[index].reshape(count, 1, height, width)


def _affine_fits(basis: Tensor, motion: Tensor, index: Tensor, total: int) -> Tensor:
    """Fit the flow of each segment by least squares.

    Args:
        basis: (1, x, y) of P pixels, (3, P).
        motion: Flow of the pixels, (2, P).
        index: Segment of each pixel, (P,).
        total: Number of segments.

    Returns:
        Coefficients, (2, 3, total).
    """
    normal = torch.stack([_segment_sums(basis[k] * basis, index, total) for k in range(3)])
    right = torch.stack([_segment_sums(basis * motion[k], index, total) for k in range(2)])
    # Ridge regression: thin segments do not determine all six numbers.
    ridge = 1e-3 * torch.diag(torch.tensor([0.0, 1.0, 1.0], device=basis.device)) * normal[0, 0][:, None, None]
    ridge = ridge + 1e-6 * torch.eye(3, device=basis.device)
    fit: Tensor = torch.linalg.solve(normal.permute(2, 0, 1) + ridge, right.permute(2, 1, 0))
    return fit.permute(2, 1, 0).contiguous()


def _segment_sums(values: Tensor, index: Tensor, total: int) -> Tensor:
    """Sum values (C, P) per segment: (C, total)."""
    return torch.zeros(len(values), total, device=values.device).index_add_(1, index, values)


def _voronoi_cells(count: int, height: int, width: int, generator: Generator) -> Tensor:
    """Divide N frames into Voronoi cells of random points: int64 (N, H, W)."""
    x, y = _coordinates(height, width, torch.device("cpu"))
    points = torch.rand(count, _CELLS, 2, generator=generator) * 2 - 1
    squared_distance = (x - points[..., 0, None, None]) ** 2 + (y - points[..., 1, None, None]) ** 2
    return squared_distance.argmin(1)


def _coordinates(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Compute x and y of all pixels, (H, W) each, in [-1, 1]."""
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, device=device), torch.linspace(-1, 1, width, device=device), indexing="ij"
    )
    return x, y
