"""A convolutional GRU whose context is worked out once."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CachedGruPass(NamedTuple):
    """One pass of a GRU with what does not change over the iterations worked out."""

    gates: Tensor
    gates_from_context: Tensor
    candidate: Tensor
    candidate_from_context: Tensor
    padding: tuple[int, int]

    def next(self, hidden: Tensor, motion: Tensor) -> Tensor:
        """The next hidden state, (N, hidden, H, W)."""
        gates = F.conv2d(torch.cat([hidden, motion], 1), self.gates, padding=self.padding)
        update, reset = gates.add_(self.gates_from_context).sigmoid_().chunk(2, 1)
        candidate = F.conv2d(torch.cat([reset * hidden, motion], 1), self.candidate, padding=self.padding)
        candidate = candidate.add_(self.candidate_from_context).tanh_()
        return torch.lerp(hidden, candidate, update)


def cache_context(layers: tuple[nn.Conv2d, ...], context: Tensor) -> CachedGruPass:
    """Work out the context's share once for all iterations: a convolution is linear in its inputs.

    layers: those of the gates, update before reset, and last the candidate's; their inputs are hidden, context and
    motion, in this order. context: (N, C, H, W).
    """
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([layer.bias for layer in layers])  # type: ignore[misc]
    hidden, motion = len(weight) // 3, weight.shape[1] - len(weight) // 3 - context.shape[1]
    of_hidden, of_context, of_motion = weight.split_with_sizes([hidden, context.shape[1], motion], 1)
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    from_context = F.conv2d(context, of_context, bias, padding=padding)
    gates, candidate = torch.cat([of_hidden, of_motion], 1).split_with_sizes([2 * hidden, hidden])
    to_gates, to_candidate = (_dense(part) for part in from_context.split_with_sizes([2 * hidden, hidden], 1))
    return CachedGruPass(_dense(gates), to_gates, _dense(candidate), to_candidate, padding)


def _dense(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)
