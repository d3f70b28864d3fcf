"""Initial weights of a training run: those of another run, and those of a public flow network for a part of it.

The public flow network is that of RIFE 4.6 (Huang et al. 2022), which `animeinterp weights get studio` fetches with the
other weights of `studio`. Blocks of the network in training may have more inputs; the weights of these start at 0, so
that the network begins as the public one.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from animeinterp.errors import WeightsError, WeightsWarning
from animeinterp.training.config import STUDIO, TrainingConfig
from animeinterp.weights.loading import load_into, load_matching, load_weights, read_state_dict
from animeinterp.weights.locations import weight_files

_FILE_PREFIX = "ifnet."  # of the flow network in the file of `studio`
_PART = "intermediate"  # of the network in training
_FIRST_CONVOLUTION = ".conv0.0.0.weight"  # of each block


def load_initial(network: nn.Module, config: TrainingConfig) -> None:
    """Load the weights that a run starts from, if it names any.

    Args:
        network: The network, changed in place.
        config: Settings of the run: `init_from`, `init_partial`, then `init_flow`.

    Raises:
        FileError: A file cannot be read.
        WeightsError: Weights do not fit, or those of `studio` are not on this machine.
    """
    if config.init_from and config.init_partial:
        rest = load_matching(network, config.init_from, config.preset)
        if rest:
            message = f"{Path(config.init_from).name} fits {config.preset} in part only, as init_partial allows: {rest}"
            warnings.warn(message, WeightsWarning, stacklevel=2)
    elif config.init_from:
        load_weights(network, config.init_from, config.preset)
    if config.init_flow:
        load_public_flow(network, flow_weights(config.init_flow))


def flow_weights(name: str) -> Path:
    """Return the file that `init_flow` names: `studio` for this user's installed weights, or a path.

    Raises:
        FileError: The file is missing.
        WeightsError: The weights of `studio` are not on this machine, or damaged.
    """
    return weight_files(STUDIO, None if name == STUDIO else name)["heavy"]


def load_public_flow(network: nn.Module, path: Path) -> None:
    """Load the public flow network into the part `intermediate` of a network.

    Args:
        network: The network, changed in place. The first convolution of a block may have more inputs than that of the
            file: the first ones get the file's weights, the others 0.
        path: The file of `studio`, with tensors named `ifnet.…`.

    Raises:
        FileError: The file cannot be read.
        WeightsError: It holds no flow network or another one, or the network has no such part; it is unchanged.
    """
    part = getattr(network, _PART, None)
    if not isinstance(part, nn.Module):
        raise WeightsError(f"init_flow is for a network with a part {_PART!r}, and this one has none; leave it out")
    state = {
        name.removeprefix(_FILE_PREFIX): value
        for name, value in read_state_dict(path).items()
        if name.startswith(_FILE_PREFIX)
    }
    if not state:
        raise WeightsError(f"{path.name} holds no tensors named {_FILE_PREFIX}…; expected the weights of studio")
    expected = part.state_dict()
    widened = {name: _widen(name, value, expected.get(name)) for name, value in state.items()}
    load_into(part, widened, f"the part {_PART}", path)


def _widen(name: str, value: Tensor, expected: Tensor | None) -> Tensor:
    """Append inputs of weight 0 to the first convolution of a block, up to those that are expected."""
    if expected is None or not name.endswith(_FIRST_CONVOLUTION) or value.ndim != 4 or expected.ndim != 4:
        return value
    more = expected.shape[1] - value.shape[1]
    zeros = value.new_zeros((value.shape[0], max(more, 0), *value.shape[2:]))
    return torch.cat([value, zeros], 1)
