"""Segment-guided matching kept from the network or spoilt, so that it neither ignores nor trusts it blindly."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from animeinterp.data.types import Batch
from animeinterp.training.config import GuidanceConfig

_REGIONS = 6  # about how many random regions lie across a sample
_SHIFT = 0.06  # of the side: standard deviation of a wrong shift
_TREMBLE = 2.0  # px


def augment_guidance(samples: Batch, generator: Generator, config: GuidanceConfig) -> Batch:
    """Spoil `coarse01`, `coarse10` and, where something is dropped, their trust; nothing else changes.

    generator: on the CPU, so that a run is the same on every device. What is shifted, foreign or noisy keeps its
    trust: the network has to find out.
    """
    if config == GuidanceConfig():
        return samples
    frames = samples.frame0
    coarse = torch.cat([samples.coarse01, samples.coarse10], 1)
    trust = torch.cat([samples.confidence0, samples.confidence1], 1)
    other = coarse.roll(1, 0)

    where = _regions(frames, generator, config.shifted)
    shift = torch.randn(len(frames), 4, 1, 1, generator=generator).to(frames.device) * _SHIFT * frames.shape[-1]
    coarse = coarse + where * shift
    where = _regions(frames, generator, config.foreign)
    coarse = torch.where(where > 0, other, coarse)
    noise = torch.randn(len(frames), 4, frames.shape[-2] // 8, frames.shape[-1] // 8, generator=generator)
    noise = noise * _TREMBLE * _chosen(frames, generator, config.noisy).cpu()
    coarse = coarse + F.interpolate(noise.to(frames.device), size=frames.shape[-2:], mode="nearest")

    kept = (1 - _regions(frames, generator, config.holes)) * _chosen(frames, generator, config.given)
    trust = trust * kept
    # Where matching says nothing, it goes on saying nothing: 0.
    coarse = coarse * (trust > 0).to(coarse.dtype).repeat_interleave(2, 1)
    coarse01, coarse10 = coarse.chunk(2, 1)
    confidence0, confidence1 = trust.chunk(2, 1)
    return samples._replace(coarse01=coarse01, coarse10=coarse10, confidence0=confidence0, confidence1=confidence1)


def _chosen(frames: Tensor, generator: Generator, probability: float) -> Tensor:
    """(N, 1, 1, 1): 1 with the probability, else 0."""
    drawn = torch.rand(len(frames), 1, 1, 1, generator=generator) < probability
    return drawn.to(frames)


def _regions(frames: Tensor, generator: Generator, probability: float) -> Tensor:
    """(N, 1, H, W): with the probability 1 in random blobs, over a random share of the sample; else 0."""
    heights = torch.rand(len(frames), 1, _REGIONS, _REGIONS, generator=generator)
    level = torch.rand(len(frames), 1, 1, 1, generator=generator)
    blobs = F.interpolate(heights.to(frames.device), size=frames.shape[-2:], mode="bicubic") > level.to(frames.device)
    return blobs.to(frames.dtype) * _chosen(frames, generator, probability)
