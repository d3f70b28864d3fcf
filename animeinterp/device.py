"""Choose where torch works, and say why a device cannot be had.

torch is imported when a device is asked for, so that a mistaken name is refused at once.
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
    """Raise UsageError unless `name` can be a device: `auto`, or a type that torch knows, with or without a number."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"expected a device such as auto, cpu, cuda, cuda:1 or mps, got {name!r}")


def choose_device(name: str) -> str:
    """The device to work on.

    Args:
        name: `auto` takes an NVIDIA or AMD GPU, else Apple's, else the CPU; any other name is taken as it is.

    Returns:
        The name for torch.

    Raises:
        UsageError: There is no such device; the message says why.
    """
    check_device_name(name)
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    reason = {"cuda": _why_no_cuda, "mps": _why_no_mps}.get(name.partition(":")[0], _no_reason)(name)
    if not reason:
        try:
            torch.zeros(1, device=name)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = f"torch cannot use it ({first_line(error)})"
    if reason:
        raise UsageError(f"device {name!r} is not available: {reason}; or use --device cpu")
    return name


def has_fast_bf16(device: str) -> bool:
    """Whether a device computes in bfloat16 faster than in float32. device: a type that torch knows."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    # torch has no public question for it yet.
    known = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(ask() for ask in known if ask is not None)


def explain_refusal(error: BaseException) -> str:
    """Why a device that is there cannot draw, from what torch said."""
    said = first_line(error)
    if "no kernel image" in said:
        return f"its generation is not among those that this build of PyTorch supports ({said})"
    return said


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:300]


def _no_reason(_: str) -> str:
    return ""


def _why_no_cuda(name: str) -> str:
    """Empty if there is such a CUDA (or ROCm) device."""
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        if sys.platform == "darwin":
            return "macOS has no CUDA; --device mps takes Apple's GPU"
        return f"this is PyTorch {torch.__version__}, built without CUDA; install one with it: {_INSTALL}"
    if not torch.cuda.is_available():
        return _why_no_driver(torch.cuda.init)
    count = torch.cuda.device_count()
    if int(name.partition(":")[2] or 0) >= count:
        return f"there {'is 1 CUDA device, cuda:0' if count == 1 else f'are {count}, cuda:0 to cuda:{count - 1}'}"
    return ""


def _why_no_driver(init: Callable[[], None]) -> str:
    """What stands between torch and the GPU. init: `torch.cuda.init`."""
    import torch

    try:
        init()
        said = ""
    except (RuntimeError, AssertionError) as error:
        said = first_line(error)
    if "no NVIDIA driver" in said:
        return "no NVIDIA driver was found; install it, nvidia-smi must list the GPU"
    if "too old" in said:
        version = torch.version.cuda
        return f"the NVIDIA driver is too old for CUDA {version}; update it, or install PyTorch for an older CUDA"
    return f"no GPU can be seen{f' ({said})' if said else ''}; check nvidia-smi and CUDA_VISIBLE_DEVICES"


def _why_no_mps(_: str) -> str:
    """Empty if Apple's GPU can be used."""
    import torch

    if torch.backends.mps.is_available():
        return ""
    if sys.platform != "darwin":
        return "MPS is Apple's, this is not macOS"
    if not torch.backends.mps.is_built():
        return "this PyTorch is built without MPS; install another: pip install --force-reinstall torch"
    return "MPS needs macOS 14 or newer on Apple silicon"
