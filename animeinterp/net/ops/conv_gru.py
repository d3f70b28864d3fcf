"""A convolutional GRU (Ballas et al. 2016) whose share of the context is computed once for all iterations."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CachedGruPass(NamedTuple):
    """One pass of a GRU; what depends on the context only is computed already.

    Attributes:
        gates: Weights of update and reset gate for (hidden, motion).
        gates_from_context: Contribution of the context to both gates, bias included.
        candidate: Weights of the candidate state for (reset * hidden, motion).
        candidate_from_context: Contribution of the context to it, bias included.
        padding: Zero padding, (rows, columns).
    """

    gates: Tensor
    gates_from_context: Tensor
    candidate: Tensor
    candidate_from_context: Tensor
    padding: tuple[int, int]

    def next(self, hidden: Tensor, motion: Tensor) -> Tensor:
        """Compute the next hidden state, (N, hidden, H, W)."""
        gates = F.conv2d(torch.cat([hidden, motion], 1), self.gates, padding=self.padding)
        update, reset = gates.add_(self.gates_from_context).sigmoid_().chunk(2, 1)
        candidate = F.conv2d(torch.cat([reset * hidden, motion], 1), self.candidate, padding=self.padding)
        candidate = candidate.add_(self.candidate_from_context).tanh_()
        return torch.lerp(hidden, candidate, update)


def cache_context(layers: tuple[nn.Conv2d, ...], context: Tensor) -> CachedGruPass:
    """Compute the share of the context once: a convolution is linear in its inputs.

    Args:
        layers: Convolutions of the gates, update before reset, then that of the candidate. Their input channels are
            hidden, context and motion, in this order.
        context: (N, C, H, W).

    Returns:
        The pass, ready to be iterated.
    """
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([layer.bias for layer in layers])  # type: ignore[misc]
    hidden, motion = len(weight) // 3, weight.shape[1] - len(weight) // 3 - context.shape[1]
    for_hidden, for_context, for_motion = weight.split_with_sizes([hidden, context.shape[1], motion], 1)
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    from_context = F.conv2d(context, for_context, bias, padding=padding)
    gates, candidate = torch.cat([for_hidden, for_motion], 1).split_with_sizes([2 * hidden, hidden])
    to_gates, to_candidate = (channels_last(part) for part in from_context.split_with_sizes([2 * hidden, hidden], 1))
    return CachedGruPass(channels_last(gates), to_gates, channels_last(candidate), to_candidate, padding)


def channels_last(tensor: Tensor) -> Tensor:
    """Bring (N, C, H, W) into the memory layout that convolutions prefer on a CPU."""
    return tensor.contiguous(memory_format=torch.channels_last)
