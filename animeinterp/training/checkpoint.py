"""A training run on disk: everything to go on with it exactly, in one file; and the weights alone, to ship.

Nothing random is kept: all of it follows from the seed and the step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from animeinterp.errors import FileError, WeightsError
from animeinterp.training.config import TrainingConfig, from_json, to_json
from animeinterp.weights.loading import load_into

MAX_WEIGHTS = 16 * 10**6  # bytes
_FORMAT = "animeinterp checkpoint 1"


@dataclass
class State:
    """What a run changes: the network, the average of its weights (EMA), the optimizer, steps done, seconds spent."""

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def save(state: State, config: TrainingConfig, path: Path) -> None:
    """Write a checkpoint; it appears whole or not at all. Raises FileError."""
    content = {
        "format": _FORMAT,
        "config": to_json(config),
        "step": state.step,
        "seconds": state.seconds,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
    }
    _write(path, lambda part: torch.save(content, part))


def restore(state: State, path: Path) -> None:
    """Go on where a checkpoint stopped. Raises FileError, and WeightsError where it is no checkpoint of this run."""
    content = _read(path)
    load_into(state.network, content["network"], "the network", path)
    load_into(state.average, content["average"], "the network", path)
    try:
        state.optimizer.load_state_dict(content["optimizer"])
    except (ValueError, KeyError) as error:
        raise WeightsError(f"{path.name} trained other parameters than this run: {error}") from error
    state.step, state.seconds = content["step"], content["seconds"]


def export(checkpoint: Path, out: Path, half: bool = True) -> dict[str, str]:
    """Write a checkpoint's averaged weights as safetensors, in half precision or float32; returns the metadata.

    Raises FileError, and WeightsError where it is no checkpoint or the file would be above `MAX_WEIGHTS`.
    """
    content = _read(checkpoint)
    config = from_json(content["config"])
    metadata = {
        "name": config.name,
        "preset": config.preset,
        "steps": str(content["step"]),
        "config_sha256": hashlib.sha256(content["config"].encode()).hexdigest(),
    }
    weights = {key: _stored(value, half) for key, value in content["average"].items()}
    size = sum(value.nbytes for value in weights.values())
    if size > MAX_WEIGHTS:
        raise WeightsError(f"{checkpoint.name} holds {size:,} bytes of weights; expected {MAX_WEIGHTS:,} or less")
    _write(out, lambda part: save_file(weights, part, metadata))
    return metadata


def _stored(value: Tensor, half: bool) -> Tensor:
    return (value.half() if half and value.is_floating_point() else value).contiguous()


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileError(f"{path} is no file; expected the checkpoint of a training run")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # Which kind it is depends on where the bytes are damaged: torch checks little.
        raise WeightsError(f"{path.name} is damaged or no checkpoint; go on from another") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise WeightsError(f"{path.name} is no checkpoint of a training run; weights go into `init_from`")
    return content


def _write(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        part.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}; free some space or choose another") from error
    finally:
        part.unlink(missing_ok=True)
