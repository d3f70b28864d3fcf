"""Weights from files: strictly, and without running anything that a file says.

Read are safetensors, a PyTorch state dict, and checkpoints that hold one under a usual key, such as the published one
(a dict whose `model_state_dict` holds the parameters, each prefixed `module.`). Declared sizes are checked before
anything is loaded (`animeinterp.weights.containers`). PyTorch files go through its `weights_only` unpickler, others
through one that knows numpy arrays only. A file that does not fit its model exactly is refused: nothing is
left out in silence.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from animeinterp.errors import FileError, WeightsError
from animeinterp.weights.containers import check_container

_SHOWN, _LONG_NAME = 3, 60  # names of a message, and their characters
# Where training programs keep the weights in a checkpoint; averaged ones first.
_WRAPPERS = ("params_ema", "model_state_dict", "state_dict", "model", "params", "average", "network", "weights")
_PREFIXES = ("module.", "_orig_mod.")
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.bool)


def load_weights(model: nn.Module, path: Path | str, name: str) -> None:
    """Fill `model` from a file; weights stored in half precision become the model's own type.

    name: what to call the model in messages. Raises FileError where the file cannot be read, and WeightsError
    where it is unsafe, damaged or belongs to another model.
    """
    load_into(model, read_state(path), name, path)


def read_state(path: Path | str) -> dict[str, Tensor]:
    """The named tensors of a file, on the CPU.

    Tensors may lie under keys that training programs use (`state_dict`, `model`, `params_ema`, …), and their names may
    begin with `module.` (DataParallel) or `_orig_mod.` (torch.compile). Raises as `load_weights`.
    """
    path = Path(path)
    content = _read_safetensors(path) if check_container(path) == "safetensors" else _read_torch(path)
    content = _unwrapped(content)
    if not isinstance(content, Mapping) or not content:
        kind = "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise WeightsError(f"{path.name} holds {kind}; a state dict of named tensors is expected")
    strangers = [f"{_short(key)} ({type(value).__name__})" for key, value in content.items() if not _is_plain(value)]
    if strangers:
        raise WeightsError(
            f"{path.name} is not a state dict: {len(strangers)} of its {len(content)} entries are not tensors: "
            f"{_some(strangers)}; expected named tensors, alone or under one of {', '.join(_WRAPPERS)}"
        )
    return {_plain_name(key): value for key, value in content.items()}


def _unwrapped(content: Any) -> Any:
    """What lies under the keys of `_WRAPPERS`, as deep as they go."""
    for _ in range(4):
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def _is_plain(value: object) -> bool:
    """Whether a value is a tensor that can be copied: dense, on the CPU, of ordinary numbers."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.dtype in _DTYPES
    )


def _plain_name(key: object) -> str:
    name = str(key)
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name


def load_into(model: nn.Module, state: Mapping[str, Tensor], name: str, source: Path | str) -> None:
    """Copy named tensors into `model`, which must have exactly those names and shapes; else WeightsError.

    A first part that all names share (`generator.`, `net.`) is passed over where the names fit without it.
    """
    wanted = model.state_dict()
    state = _without_common_part(state, wanted)
    missing, left_over = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shapes = [
        f"{key} {tuple(state[key].shape)} for {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    faults = [
        f"{len(names)} {what}: {_some(names)}"
        for what, names in (
            ("missing", [f"{key} {tuple(wanted[key].shape)}" for key in missing]),
            ("left over", [f"{_short(key)} {tuple(state[key].shape)}" for key in left_over]),
            ("of another shape", shapes),
        )
        if names
    ]
    if faults:
        raise WeightsError(
            f"{Path(source).name} does not hold the weights of {name}: expected {len(wanted)} tensors, found "
            f"{len(state)}; {'; '.join(faults)}"
        )
    broken = [key for key in wanted if not torch.isfinite(state[key]).all()]
    if broken:
        raise WeightsError(f"{Path(source).name} is damaged: values that are not finite in {_some(broken)}")
    model.load_state_dict(dict(state), strict=True)


def _without_common_part(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    parts = {name.partition(".")[0] for name in state}
    if len(parts) != 1 or wanted.keys() & state.keys():
        return state
    shorter = {name.partition(".")[2]: value for name, value in state.items()}
    return shorter if wanted.keys() & shorter.keys() else state


def _read_torch(path: Path) -> Any:
    try:
        with path.open("rb") as file:  # given a name, torch goes by its suffix
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path.name} is refused: not a plain PyTorch file of tensors") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # Which kind it is depends on where the bytes are damaged: torch checks little.
        raise WeightsError(f"{path.name} is damaged or no PyTorch file; download it again") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # SafetensorError for damage, others for types of numbers that torch lacks.
        raise WeightsError(f"{path.name} is damaged or no safetensors file; download it again") from error


def _some(names: list[str]) -> str:
    """The first few of many names, and how many there are."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _short(name: object) -> str:
    text = " ".join(str(name).split())
    return text if len(text) <= _LONG_NAME else f"{text[:_LONG_NAME]}…"
