"""Choose the device for torch, and explain why a device is not available.

torch is imported only within the functions that need it, so that a mistaken name is refused at once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from animeinterp.errors import UsageError

_TYPES = ("cpu", "cuda", "mps", "xpu", "xla", "hpu", "npu", "mtia", "privateuseone")
_NAME = re.compile(rf"auto|({'|'.join(_TYPES)})(:[0-9]{{1,3}})?")
_INSTALL = "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130"


def check_device_name(name: str) -> None:
    """Check that a name is `auto` or one of torch's device types, with or without a number. Raises UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"expected a device such as auto, cpu, cuda, cuda:1 or mps, got {name!r}")


def choose_device(name: str) -> str:
    """Choose the device, and check that it is available.

    Args:
        name: `auto` selects an NVIDIA or AMD GPU, else Apple's, else the CPU; other names are names of torch.

    Returns:
        torch's name of the device.

    Raises:
        UsageError: The device is not available; the message gives the reason.
    """
    check_device_name(name)
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = name.partition(":")[0]
    reason = _explain_cuda(name) if kind == "cuda" else _explain_mps() if kind == "mps" else ""
    if not reason:
        try:
            torch.zeros(1, device=name)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = f"torch cannot use it ({first_line(error)})"
    if reason:
        raise UsageError(f"device {name!r} is not available: {reason}; or use --device cpu")
    return name


def has_fast_bf16(device: str) -> bool:
    """Return whether bfloat16 is faster than float32 on a device of this torch type."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    # torch has no public function for this yet.
    checks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(is_supported() for is_supported in checks if is_supported is not None)


def explain_refusal(error: BaseException) -> str:
    """Return the reason why an available device cannot be used, from torch's error."""
    message = first_line(error)
    if "no kernel image" in message:
        return f"its generation is not supported by this build of PyTorch ({message})"
    return message


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:300]


def _explain_cuda(name: str) -> str:
    """Return why a CUDA (or ROCm) device is missing, empty if it exists."""
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        if sys.platform == "darwin":
            return "macOS has no CUDA; --device mps takes Apple's GPU"
        return f"this is PyTorch {torch.__version__}, built without CUDA; install one with it: {_INSTALL}"
    if not torch.cuda.is_available():
        return _explain_driver(torch.cuda.init)
    count = torch.cuda.device_count()
    if int(name.partition(":")[2] or 0) >= count:
        return f"there {'is 1 CUDA device, cuda:0' if count == 1 else f'are {count}, cuda:0 to cuda:{count - 1}'}"
    return ""


def _explain_driver(init: Callable[[], None]) -> str:
    """Return why torch finds no GPU; `init` is `torch.cuda.init`."""
    import torch

    try:
        init()
        message = ""
    except (RuntimeError, AssertionError) as error:
        message = first_line(error)
    if "no NVIDIA driver" in message:
        return "no NVIDIA driver was found; install it, nvidia-smi must list the GPU"
    if "too old" in message:
        version = torch.version.cuda
        return f"the NVIDIA driver is too old for CUDA {version}; update it, or install PyTorch for an older CUDA"
    return f"no GPU can be seen{f' ({message})' if message else ''}; check nvidia-smi and CUDA_VISIBLE_DEVICES"


def _explain_mps() -> str:
    """Return why Apple's GPU cannot be used, empty if it can."""
    import torch

    if torch.backends.mps.is_available():
        return ""
    if sys.platform != "darwin":
        return "MPS is Apple's, this is not macOS"
    if not torch.backends.mps.is_built():
        return "this PyTorch is built without MPS; install another: pip install --force-reinstall torch"
    return "MPS needs macOS 14 or newer on Apple silicon"
