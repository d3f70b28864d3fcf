"""What kind of training data a folder holds, told by the names in it; needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from animeinterp.data.linear.record import check_trainable
from animeinterp.errors import FileError, UsageError

Kind = Literal["crops", "scenes", "atd12k", "vector"]


def recognize(folder: Path, kind: str | None = None) -> Kind:
    """What a folder holds; `kind` instead, if given.

    Raises:
        FileError: It is not a folder.
        UsageError: It holds none of these, or a linear set, which is for evaluation only.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected one that training data can come from")
    check_trainable(folder)
    found: dict[Kind, Callable[[], object]] = {
        "crops": lambda: any(folder.glob("*.safetensors")),
        "scenes": lambda: (folder / "sprites").is_dir(),
        "atd12k": lambda: any(folder.glob("*/frame1.*")),
        "vector": lambda: any(folder.rglob("*.json.gz")),
    }
    for name, fits in found.items():
        if name == kind or (kind is None and fits()):
            return name
    if kind is not None:
        raise UsageError(f"expected a kind out of {', '.join(get_args(Kind))}, got {kind!r}")
    raise UsageError(
        f"cannot tell what {folder} holds: expected training crops (NNNNN.safetensors), assets (sprites/), triplets "
        "(NAME/frame1.png …) or vector animations (.json.gz)"
    )
