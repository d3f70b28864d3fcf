"""Build the parts of a training run from its settings: network, perceptual losses and sources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from animeinterp.config import PRESETS, CelConfig
from animeinterp.data.linear.record import check_trainable
from animeinterp.training.config import PERCEPTUAL_LOSSES, SourceConfig, TrainingConfig
from animeinterp.training.loader import Source

if TYPE_CHECKING:
    from animeinterp.training.perceptual import PerceptualLosses


def model_config(config: TrainingConfig) -> CelConfig:
    """Apply the run's changes to its preset."""
    network = PRESETS[config.preset].network
    assert isinstance(network, CelConfig)
    return replace(network, **config.model.model_dump(exclude_none=True))


def build_network(config: TrainingConfig) -> nn.Module:
    """Build the network, with initial weights."""
    from animeinterp.net.cel.model import Cel

    return Cel(model_config(config))


def build_perceptual(config: TrainingConfig, device: torch.device) -> PerceptualLosses | None:
    """Load the losses on features of VGG-16 whose weights are above 0; None if there are none.

    Raises:
        FileError: The weights of VGG-16 cannot be read.
        WeightsError: They are not those of LPIPS.
    """
    names = tuple(name for name in PERCEPTUAL_LOSSES if getattr(config.loss, name) > 0)
    if not names:
        return None
    from animeinterp.metrics.lpips import load_vgg_lpips
    from animeinterp.training.perceptual import PerceptualLosses

    return PerceptualLosses(load_vgg_lpips(Path(config.loss.vgg)), config.loss.perceptual_size, names).to(device)


def build_sources(config: TrainingConfig, device: torch.device) -> list[tuple[Source, float]]:
    """Open the sources whose weight is above 0.

    Returns:
        Sources with their weights.

    Raises:
        UsageError: A source is for evaluation only.
        FileError: A source cannot be read.
    """
    return [
        (_build_source(source, config.size, device), source.weight) for source in config.source if source.weight > 0
    ]


def _build_source(config: SourceConfig, size: int, device: torch.device) -> Source:
    if config.path:
        check_trainable(Path(config.path))
    if config.kind == "crops":
        from animeinterp.data.crop_store import CropStore

        return CropStore(Path(config.path))
    from animeinterp.data.synthetic.dataset import SceneSource

    return SceneSource(Path(config.path) if config.path else None, size, device)
