"""Augmentation of the coarse flow: drop or corrupt it, so that the network neither ignores nor blindly uses it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from animeinterp.data.types import Batch
from animeinterp.training.config import GuidanceConfig

_GRID = 6  # cells per side of the noise that random regions are thresholds of
_SHIFT_DEVIATION = 0.06  # of the sample's side
_NOISE_DEVIATION = 2.0  # px
_NOISE_TILE = 8  # px


def augment_guidance(batch: Batch, generator: Generator, config: GuidanceConfig) -> Batch:
    """Drop or corrupt `coarse01` and `coarse10`; where they are dropped, their confidence becomes 0.

    Shifted, foreign or noisy flow keeps its confidence: the network has to detect it.

    Args:
        batch: Samples; everything else of them stays unchanged.
        generator: Random numbers on the CPU, so that a run is the same on every device.
        config: Probabilities.
    """
    if config == GuidanceConfig():
        return batch
    frame = batch.frame0
    coarse = torch.cat([batch.coarse01, batch.coarse10], 1)
    confidence = torch.cat([batch.confidence0, batch.confidence1], 1)
    foreign = coarse.roll(1, 0)

    regions = _random_regions(frame, generator, config.shifted)
    shift = torch.randn(len(frame), 4, 1, 1, generator=generator).to(frame.device) * _SHIFT_DEVIATION * frame.shape[-1]
    coarse = coarse + regions * shift
    regions = _random_regions(frame, generator, config.foreign)
    coarse = torch.where(regions > 0, foreign, coarse)
    size = frame.shape[-2] // _NOISE_TILE, frame.shape[-1] // _NOISE_TILE
    noise = torch.randn(len(frame), 4, *size, generator=generator)
    noise = noise * _NOISE_DEVIATION * _random_samples(frame, generator, config.noisy).cpu()
    coarse = coarse + F.interpolate(noise.to(frame.device), size=frame.shape[-2:], mode="nearest")

    kept = (1 - _random_regions(frame, generator, config.holes)) * _random_samples(frame, generator, config.given)
    confidence = confidence * kept
    # Pixels without coarse flow have flow 0.
    coarse = coarse * (confidence > 0).to(coarse.dtype).repeat_interleave(2, 1)
    coarse01, coarse10 = coarse.chunk(2, 1)
    confidence0, confidence1 = confidence.chunk(2, 1)
    return batch._replace(coarse01=coarse01, coarse10=coarse10, confidence0=confidence0, confidence1=confidence1)


def _random_samples(frame: Tensor, generator: Generator, probability: float) -> Tensor:
    """Draw 1 with the probability, else 0, for each sample: (N, 1, 1, 1)."""
    drawn = torch.rand(len(frame), 1, 1, 1, generator=generator) < probability
    return drawn.to(frame)


def _random_regions(frame: Tensor, generator: Generator, probability: float) -> Tensor:
    """Draw random blobs for some samples, over a random fraction of each: (N, 1, H, W), 1 inside, else 0."""
    noise = torch.rand(len(frame), 1, _GRID, _GRID, generator=generator)
    level = torch.rand(len(frame), 1, 1, 1, generator=generator)
    blobs = F.interpolate(noise.to(frame.device), size=frame.shape[-2:], mode="bicubic") > level.to(frame.device)
    return blobs.to(frame.dtype) * _random_samples(frame, generator, probability)
