"""Recognizes the kind of training data in a folder by the names of its files. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from animeinterp.data.linear.record import check_trainable
from animeinterp.errors import FileError, UsageError

Kind = Literal["crops", "scenes", "atd12k", "vector", "characters"]


def recognize(folder: Path, kind: str | None = None) -> Kind:
    """Recognize the kind of training data in a folder.

    Args:
        folder: The training data.
        kind: The kind, if the user gave it; only checked then.

    Returns:
        The kind.

    Raises:
        FileError: The folder is not a folder.
        UsageError: It holds none of the kinds, or a linear set, which is for evaluation only.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected a folder of training data")
    check_trainable(folder)
    tests: dict[Kind, Callable[[], object]] = {
        "crops": lambda: any(folder.glob("*.safetensors")),
        "scenes": lambda: (folder / "sprites").is_dir(),
        "atd12k": lambda: any(folder.glob("*/frame1.*")),
        "vector": lambda: any(folder.rglob("*.json.gz")),
        "characters": lambda: any(folder.glob("*.glb")),
    }
    for name, matches in tests.items():
        if name == kind or (kind is None and matches()):
            return name
    if kind is not None:
        raise UsageError(f"expected a kind out of {', '.join(get_args(Kind))}, got {kind!r}")
    raise UsageError(
        f"cannot tell what {folder} holds: expected training crops (NNNNN.safetensors), assets (sprites/), "
        "triplets (NAME/frame1.png …), vector animations (.json.gz) or rigged characters (.glb); "
        "give its kind with --kind"
    )
