"""Checkpoint of a training run: one file with everything needed to resume it exactly; and export of the weights.

It holds no random state: everything random follows from the seed and the step.
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

from animeinterp.errors import FileError, UsageError, WeightsError
from animeinterp.io.files import write_bytes
from animeinterp.io.reading import describe_error
from animeinterp.training.build import build_network
from animeinterp.training.config import TrainingConfig, from_json, to_json
from animeinterp.training.initial import load_initial
from animeinterp.weights.containers import check_container
from animeinterp.weights.loading import load_into

MAX_WEIGHTS = 16 * 10**6  # bytes
_FORMAT = "animeinterp checkpoint 1"


@dataclass
class State:
    """Everything that a training step changes.

    Attributes:
        network: Network in training.
        average: The same network with averaged weights (EMA).
        optimizer: Optimizer of `network`.
        step: Steps done.
        seconds: Training time, pauses excluded.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def save(state: State, config: TrainingConfig, path: Path) -> None:
    """Write a checkpoint atomically, in place of an existing one.

    Raises:
        FileError: The file cannot be written.
    """
    content = {
        "format": _FORMAT,
        "config": to_json(config),
        "step": state.step,
        "seconds": state.seconds,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
    }
    # Into memory first: for a full disk torch raises an error of its own that hides the cause.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getbuffer(), force=True)


def restore(state: State, path: Path) -> None:
    """Load a checkpoint into the state of a run.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is not a checkpoint of this run.
    """
    content = _read(path)
    load_into(state.network, content["network"], "the network", path)
    load_into(state.average, content["average"], "the network", path)
    try:
        state.optimizer.load_state_dict(content["optimizer"])
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise WeightsError(f"{path.name} trained other parameters than this run: {describe_error(error)}") from error
    state.step, state.seconds = content["step"], content["seconds"]


def export(
    checkpoint: Path, out: Path, half: bool = True, *, start_fraction: float = 0.0, force: bool = False
) -> dict[str, str]:
    """Write a checkpoint's averaged weights as safetensors.

    Args:
        checkpoint: Checkpoint of a training run.
        out: File for the weights.
        half: Whether they are stored in half precision instead of float32.
        start_fraction: How much of the weights that the run started from is mixed in, in [0, 1): a mean of both often
            keeps what fine-tuning gained and forgets less (Wortsman et al. 2022).
        force: Whether an existing file is replaced.

    Returns:
        Metadata of the file.

    Raises:
        FileError: A file cannot be read or written.
        UsageError: `out` exists and `force` is not set; the fraction is invalid; the run started from random weights.
        WeightsError: It is not a checkpoint, or the weights are larger than `MAX_WEIGHTS`.
    """
    content = _read(checkpoint)
    config = from_json(content["config"])
    metadata = {
        "name": config.name,
        "preset": config.preset,
        "steps": str(content["step"]),
        "config_sha256": hashlib.sha256(content["config"].encode()).hexdigest(),
    }
    # Before any copy: a damaged tensor may claim more elements than the file has.
    size = sum(value.numel() * (2 if half else 4) for value in content["average"].values())
    if size > MAX_WEIGHTS:
        raise WeightsError(f"{checkpoint.name} holds {size:,} bytes of weights; expected {MAX_WEIGHTS:,} or less")
    average = content["average"]
    if start_fraction:
        average = _mixed_with_start(average, config, start_fraction, checkpoint)
        metadata["start_fraction"] = f"{start_fraction:g}"
    weights = {key: _convert(value, half) for key, value in average.items()}
    write_bytes(out, safetensors.torch.save(weights, metadata), force=force)
    return metadata


def _mixed_with_start(
    average: dict[str, Tensor], config: TrainingConfig, fraction: float, checkpoint: Path
) -> dict[str, Tensor]:
    """Return the mean of averaged weights and of those that the run started from."""
    if not 0 < fraction < 1:
        raise UsageError(f"expected a fraction of the initial weights in [0, 1), got {fraction:g}")
    if not (config.init_from or config.init_flow):
        raise UsageError(f"the run of {checkpoint.name} started from random weights; leave the fraction out")
    network = build_network(config)
    load_initial(network, config)
    start = {key: value.clone() for key, value in network.state_dict().items()}
    load_into(network, average, "the network", checkpoint)
    return {key: torch.lerp(value.float(), start[key].float(), fraction) for key, value in average.items()}


def _convert(value: Tensor, half: bool) -> Tensor:
    # A copy: safetensors does not write tensors that share memory.
    return (value.half() if half and value.is_floating_point() else value).contiguous().clone()


def _read(path: Path) -> dict[str, Any]:
    """Read and check the content of a checkpoint, as `save` writes it."""
    if check_container(path) != "torch":
        raise WeightsError(f"{path.name} holds weights alone; expected the checkpoint of a training run, last.pt")
    try:
        with path.open("rb") as file:  # given a path, torch chooses the format by the file's suffix
            content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # The type depends on where the bytes are damaged; torch checks little.
        raise WeightsError(f"{path.name} is damaged or not a checkpoint; resume from another") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise WeightsError(f"{path.name} is not a checkpoint of a training run; weights go into `init_from`")
    types = {"config": str, "step": int, "seconds": float, "network": dict, "average": dict, "optimizer": dict}
    wrong = [key for key, kind in types.items() if not isinstance(content.get(key), kind)]
    tensors = [value for key in ("network", "average") if key not in wrong for value in content[key].values()]
    if wrong or content["step"] < 0 or not all(isinstance(value, Tensor) for value in tensors):
        names = ", ".join(wrong) or "unexpected entries"
        raise WeightsError(f"{path.name} is a damaged checkpoint ({names}); use another")
    return content
