"""Load weights from files: strictly, and without running code that a file contains.

Supported are safetensors, PyTorch state dicts, and checkpoints that hold a state dict under a usual key, such as the
published one (a dict whose `model_state_dict` holds the parameters, each prefixed `module.`). Declared sizes are
checked before anything is loaded (`animeinterp.weights.containers`). PyTorch files are read by its `weights_only`
unpickler. Weights that come with the package must have the SHA-256 of their record. A file that does not match its
model exactly is refused: no tensor is skipped silently.
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
from animeinterp.io.files import file_sha256
from animeinterp.weights.containers import check_container
from animeinterp.weights.records import recorded_sha256

_MAX_NAMES, _MAX_NAME_LENGTH = 3, 60  # of a message
# Keys under which training programs keep the weights in a checkpoint; averaged weights first.
_WRAPPERS = ("params_ema", "model_state_dict", "state_dict", "model", "params", "average", "network", "weights")
_MAX_NESTING = 4
_PREFIXES = ("module.", "_orig_mod.")
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.bool)


def load_weights(model: nn.Module, path: Path | str, name: str) -> None:
    """Load a file into a model; tensors in half precision are converted to the model's type.

    Args:
        model: The network, changed in place.
        path: The file of weights.
        name: The model's name, for messages.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is unsafe or damaged, belongs to another model, or came with the package and was changed.
    """
    load_into(model, _read_checked(path), name, path)


def load_matching(model: nn.Module, path: Path | str, name: str) -> str:
    """Load what a file shares with a model that was changed since: tensors of the same name and shape.

    Args:
        model: The network, changed in place; what the file lacks keeps its values.
        path: The file of weights.
        name: The model's name, for messages.

    Returns:
        What was not loaded, in one line; empty if the file fits exactly.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is unsafe or damaged, shares nothing with the model, or came with the package and was changed.
    """
    expected = model.state_dict()
    state = _remove_common_prefix(_read_checked(path), expected)
    shared = {key: value for key, value in state.items() if key in expected and value.shape == expected[key].shape}
    if not shared:
        raise WeightsError(f"{Path(path).name} shares no tensor with {name} by name and shape; give another file")
    faults = _list_faults(expected, state)
    load_into(model, {**expected, **shared}, name, path)
    return "; ".join(faults)


def read_state_dict(path: Path | str) -> dict[str, Tensor]:
    """Read the named tensors of a file.

    Args:
        path: The file. Tensors may be nested under keys of training programs (`state_dict`, `model`, `params_ema`, …),
            and their names may begin with `module.` (DataParallel) or `_orig_mod.` (torch.compile).

    Returns:
        Tensors on the CPU by their names without these prefixes.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is unsafe, damaged or does not hold named tensors.
    """
    path = Path(path)
    content = _read_safetensors(path) if check_container(path) == "safetensors" else _read_torch(path)
    content = _unwrap(content)
    if not isinstance(content, Mapping) or not content:
        kind = "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise WeightsError(f"{path.name} holds {kind}; a state dict of named tensors is expected")
    others = [f"{_shorten(key)} ({type(value).__name__})" for key, value in content.items() if not _is_plain(value)]
    if others:
        raise WeightsError(
            f"{path.name} is not a state dict: {len(others)} of its {len(content)} entries are not tensors: "
            f"{_list_names(others)}; expected named tensors, alone or under one of {', '.join(_WRAPPERS)}"
        )
    return {_remove_prefixes(key): value for key, value in content.items()}


def load_into(model: nn.Module, state: Mapping[str, Tensor], name: str, source: Path | str) -> None:
    """Copy named tensors into a model that has exactly these names and shapes.

    A first name component that all tensors share (`generator.`, `net.`) is removed if the rest then matches.

    Args:
        model: The network, changed in place.
        state: Tensors by name.
        name: The model's name, for messages.
        source: The file of the tensors, for messages.

    Raises:
        WeightsError: Names or shapes differ, or a value is not finite; the model is unchanged.
    """
    expected = model.state_dict()
    state = _remove_common_prefix(state, expected)
    faults = _list_faults(expected, state)
    if faults:
        raise WeightsError(
            f"{Path(source).name} does not hold the weights of {name}: expected {len(expected)} tensors, found "
            f"{len(state)}; {'; '.join(faults)}"
        )
    broken = [key for key in expected if not torch.isfinite(state[key]).all()]
    if broken:
        raise WeightsError(f"{Path(source).name} is damaged: values that are not finite in {_list_names(broken)}")
    model.load_state_dict(dict(state), strict=True)


def _read_checked(path: Path | str) -> dict[str, Tensor]:
    """Read the named tensors of a file; one that came with the package must be unchanged."""
    state = read_state_dict(path)
    expected = recorded_sha256(Path(path))
    if expected is not None and file_sha256(Path(path)) != expected:
        raise WeightsError(f"{path} is not the file that came with the package; install animeinterp again")
    return state


def _list_faults(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Name the tensors that are missing, unexpected or of another shape, a text for each kind."""
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [
        f"{key} {tuple(state[key].shape)} for {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    return [
        f"{len(names)} {fault}: {_list_names(names)}"
        for fault, names in (
            ("missing", [f"{key} {tuple(expected[key].shape)}" for key in missing]),
            ("unexpected", [f"{_shorten(key)} {tuple(state[key].shape)}" for key in unexpected]),
            ("of another shape", shapes),
        )
        if names
    ]


def _unwrap(content: Any) -> Any:
    """Return what is nested under the keys of `_WRAPPERS`."""
    for _ in range(_MAX_NESTING):
        if isinstance(content, Mapping):
            content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    return content


def _is_plain(value: object) -> bool:
    """Return whether a value is a dense tensor of ordinary numbers on the CPU."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.dtype in _DTYPES
    )


def _remove_prefixes(key: object) -> str:
    """Remove the prefixes of DataParallel and torch.compile from a name."""
    name = str(key)
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    return name


def _remove_common_prefix(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Remove the first component of all names if it is the same and the rest matches the model."""
    prefixes = {name.partition(".")[0] for name in state}
    if len(prefixes) != 1 or expected.keys() & state.keys():
        return state
    shorter = {name.partition(".")[2]: value for name, value in state.items()}
    return shorter if expected.keys() & shorter.keys() else state


def _read_torch(path: Path) -> Any:
    """Read a PyTorch file with the restricted unpickler."""
    try:
        with path.open("rb") as file:  # given a path, torch selects the reader by its suffix
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path.name} is refused: not a plain PyTorch file of tensors") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # torch checks little, so the exception depends on where the bytes are damaged.
        raise WeightsError(f"{path.name} is damaged or not a PyTorch file; download it again") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file."""
    try:
        return load_file(path)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # SafetensorError for damage, others for number types that torch lacks.
        raise WeightsError(f"{path.name} is damaged or not a safetensors file; download it again") from error


def _list_names(names: list[str]) -> str:
    """List the first names, and the number of the rest."""
    listed = ", ".join(names[:_MAX_NAMES])
    return listed if len(names) <= _MAX_NAMES else f"{listed} and {len(names) - _MAX_NAMES} more"


def _shorten(name: object) -> str:
    """Cut a long name for a message."""
    text = " ".join(str(name).split())
    return text if len(text) <= _MAX_NAME_LENGTH else f"{text[:_MAX_NAME_LENGTH]}…"
