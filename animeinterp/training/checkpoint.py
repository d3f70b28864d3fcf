"""A training run on disk: everything to go on with it exactly, in one file; and the weights alone, to ship.

Nothing random is kept: all of it follows from the seed and the step.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from animeinterp.errors import FileError, WeightsError
from animeinterp.io.files import write_bytes
from animeinterp.io.reading import describe_error
from animeinterp.training.config import TrainingConfig, from_json, to_json
from animeinterp.weights.containers import check_container
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
    # In memory first: torch reports a full disk as an error of its own that has no cause.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getbuffer(), force=True)


def restore(state: State, path: Path) -> None:
    """Go on where a checkpoint stopped. Raises FileError, and WeightsError where it is not a checkpoint of this run."""
    content = _read(path)
    load_into(state.network, content["network"], "the network", path)
    load_into(state.average, content["average"], "the network", path)
    try:
        state.optimizer.load_state_dict(content["optimizer"])
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise WeightsError(f"{path.name} trained other parameters than this run: {describe_error(error)}") from error
    state.step, state.seconds = content["step"], content["seconds"]


def export(checkpoint: Path, out: Path, half: bool = True, *, force: bool = False) -> dict[str, str]:
    """Write a checkpoint's averaged weights as safetensors.

    Args:
        checkpoint: Of a training run.
        out: The weights' file.
        half: Whether they are stored in half precision, not in float32.
        force: Whether an existing file is replaced.

    Returns:
        The metadata of the file.

    Raises:
        FileError: A file cannot be read or written.
        UsageError: `out` exists and not `force`.
        WeightsError: It is not a checkpoint, or the file would be above `MAX_WEIGHTS`.
    """
    content = _read(checkpoint)
    config = from_json(content["config"])
    metadata = {
        "name": config.name,
        "preset": config.preset,
        "steps": str(content["step"]),
        "config_sha256": hashlib.sha256(content["config"].encode()).hexdigest(),
    }
    # Before anything is copied: a tensor may claim more elements than the file has.
    size = sum(value.numel() * (2 if half else 4) for value in content["average"].values())
    if size > MAX_WEIGHTS:
        raise WeightsError(f"{checkpoint.name} holds {size:,} bytes of weights; expected {MAX_WEIGHTS:,} or less")
    weights = {key: _stored(value, half) for key, value in content["average"].items()}
    write_bytes(out, safetensors.torch.save(weights, metadata), force=force)
    return metadata


def _stored(value: Tensor, half: bool) -> Tensor:
    # A copy: tensors that share memory cannot be written.
    return (value.half() if half and value.is_floating_point() else value).contiguous().clone()


def _read(path: Path) -> dict[str, Any]:
    if check_container(path) != "torch":
        raise WeightsError(f"{path.name} holds weights alone; expected the checkpoint of a training run, last.pt")
    try:
        with path.open("rb") as file:  # given a name, torch goes by its suffix
            content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # Which kind it is depends on where the bytes are damaged: torch checks little.
        raise WeightsError(f"{path.name} is damaged or no checkpoint; go on from another") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise WeightsError(f"{path.name} is not a checkpoint of a training run; weights go into `init_from`")
    kinds = {"config": str, "step": int, "seconds": float, "network": dict, "average": dict, "optimizer": dict}
    wrong = [key for key, kind in kinds.items() if not isinstance(content.get(key), kind)]
    tensors = [value for key in ("network", "average") if key not in wrong for value in content[key].values()]
    if wrong or content["step"] < 0 or not all(isinstance(value, Tensor) for value in tensors):
        raise WeightsError(f"{path.name} is a damaged checkpoint ({', '.join(wrong) or 'odd entries'}); use another")
    return content
