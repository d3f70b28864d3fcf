"""Where compiled CPU kernels replace torch operations: the one switch.

A torch operation defines each kernel and judges it in tests, inside `torch_only()` or, for kernels that have no
gradient, where gradients are recorded. Other devices, and tensors that need a gradient a kernel does not have, always
take the torch operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_torch_only = False


def use_cpu_kernels(tensor: Tensor, *, differentiable: bool) -> bool:
    """Decide whether a compiled kernel does the work of torch operations.

    Args:
        tensor: The main input; the others are on the same device.
        differentiable: Whether the kernel has a backward pass. One without runs in inference only, on float32.

    Returns:
        True on the CPU where the kernel can take the tensor.
    """
    if _torch_only or tensor.device.type != "cpu":
        return False
    return differentiable or (tensor.dtype == torch.float32 and not torch.is_grad_enabled())


@contextmanager
def torch_only() -> Iterator[None]:
    """Use torch operations everywhere inside the block, to judge the kernels by; not safe with other threads."""
    global _torch_only
    before, _torch_only = _torch_only, True
    try:
        yield
    finally:
        _torch_only = before
