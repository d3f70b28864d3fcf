"""What the values of a training run may be: a range for every number, and what has to go together.

Ranges only keep out what cannot work or would exhaust the machine; they are no advice. Nothing here needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from animeinterp.config import PRESETS, ModelConfig
from animeinterp.errors import UsageError

if TYPE_CHECKING:
    from animeinterp.training.config import TrainingConfig

FRAME_LOSSES = ("charbonnier", "laplacian", "census", "log_error", "line")
LOSSES = ("flow", *FRAME_LOSSES, "lpips")

_MANY = 10**9
Range = tuple[float, float]
RUN: Mapping[str, Range] = {
    "steps": (1, _MANY),
    "batch": (1, 65536),
    "size": (32, 4096),
    "seed": (0, 2**63 - 1),
    "workers": (0, 256),
    "learning_rate": (0, 10),
    "warm_up": (0, _MANY),
    "last": (0, 1),
    "weight_decay": (0, 1000),
    "clip": (1e-9, _MANY),
    "ema": (0, 1 - 1e-9),
    "log_every": (1, _MANY),
    "save_every": (1, _MANY),
    "sheet_every": (1, _MANY),
}
LOSS: Mapping[str, Range] = {
    **dict.fromkeys(LOSSES, (0, 1e6)),
    "flow_decay": (0, 1),
    "frames_from": (0, _MANY),
    "lpips_size": (0, 4096),
}
WEIGHT: Range = (0, 1e6)
FACTOR: Range = (0, 1e6)
_MODEL: Mapping[str, Range] = {
    "iterations": (0, 64),
    "correlation_levels": (1, 8),
    "correlation_radius": (1, 16),
    "coarse_flow_added": (0, 4),
    "widths": (1, 1024),
    "synthesis_widths": (1, 1024),
    "network_pixel_fraction": (0.01, 1),
    "network_pixel_range": (0, 10**8),
    "sgm_pixel_fraction": (0.01, 1),
}
_DEVICE = re.compile(r"auto|(cpu|cuda|mps|xpu|hpu|mtia|privateuseone)(:[0-9]{1,3})?")


def check(config: TrainingConfig) -> None:
    """Raise UsageError, naming the field, for values that cannot be."""
    _check_ranges(config)
    _check_sources(config)
    _check_losses(config)
    _check_model(config.preset, config.model)
    if not config.folder:
        raise UsageError("expected folder, where the run is kept; give it")
    if not _DEVICE.fullmatch(config.device):
        raise UsageError(f"expected a device such as auto, cpu or cuda:0, got {config.device!r:.60}")


def _check_ranges(config: TrainingConfig) -> None:
    for name, limits in RUN.items():
        _within(getattr(config, name), limits, name)
    for name, limits in LOSS.items():
        _within(getattr(config.loss, name), limits, f"loss.{name}")
    for field in fields(config.guidance):
        _within(getattr(config.guidance, field.name), (0, 1), f"guidance.{field.name}")
    for prefix, factor in config.learning_rates.items():
        _within(factor, FACTOR, f"learning_rates.{prefix}")
    if config.size % 16:
        raise UsageError(f"expected a size that is a multiple of 16 px, got {config.size}")


def _check_sources(config: TrainingConfig) -> None:
    for source in config.source:
        _within(source.weight, WEIGHT, "source.weight")
    if not any(source.weight > 0 for source in config.source):
        raise UsageError("expected at least one [[source]] with a weight above 0; add one")
    if any(source.kind == "crops" and not source.path for source in config.source):
        raise UsageError("a [[source]] of crops needs path, the folder of the store; give it")


def _check_losses(config: TrainingConfig) -> None:
    if not any(getattr(config.loss, name) for name in LOSSES):
        raise UsageError("expected at least one weight above 0 in [loss]")
    if config.loss.frames_from > 0 and not config.loss.flow:
        raise UsageError("nothing is learned before loss.frames_from with loss.flow = 0; give flow a weight")
    if config.loss.lpips > 0 and not config.loss.vgg:
        raise UsageError("the lpips loss needs loss.vgg, the path of VGG-16's weights; give it or set lpips = 0")


def _within(value: Any, limits: Range, name: str) -> None:
    low, high = limits
    if not low <= value <= high:  # NaN too
        raise UsageError(f"expected {name} from {low:g} to {high:g}, got {str(value)[:40]}; change it")


def _check_model(preset: str, changes: Mapping[str, Any]) -> None:
    trained = [name for name, one in PRESETS.items() if one.synthesis == "chosen"]
    if preset not in trained:
        raise UsageError(f"there is no preset {preset!r:.60} to train; expected one of {', '.join(trained)}")
    hints = get_type_hints(ModelConfig)
    unknown = sorted(changes.keys() - hints.keys())
    if unknown:
        raise UsageError(f"a model has no {', '.join(unknown)[:120]}; expected {', '.join(hints)}")
    for name, value in changes.items():
        _check_field(f"model.{name}", hints[name], value, _MODEL.get(name, (0, 1)))


def _check_field(name: str, hint: Any, value: Any, limits: Range) -> None:
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple) or len(value) != len(arguments):
            raise UsageError(f"expected {len(arguments)} numbers for {name}, got {value!r:.60}")
        for item, kind in zip(value, arguments, strict=True):
            _check_field(name, kind, item, limits)
    elif arguments:
        if value not in arguments:
            raise UsageError(f"expected one of {', '.join(arguments)} for {name}, got {value!r:.60}")
    elif hint in (int, float):
        if isinstance(value, bool) or not isinstance(value, int if hint is int else int | float):
            raise UsageError(f"expected {hint.__name__} for {name}, got {value!r:.60}")
        _within(value, limits, name)
    elif not isinstance(value, hint):
        raise UsageError(f"expected {hint.__name__} for {name}, got {value!r:.60}")
