"""Recognizes linear sets and their art by the kind stated in their manifest, so that nothing is trained on them.

Imports neither torch nor OpenCV.
"""

from __future__ import annotations

from pathlib import Path

from animeinterp.data.layout import MAX_MANIFEST_BYTES, manifest_path
from animeinterp.errors import FileError, UsageError
from animeinterp.io.reading import read_json

KIND = "animeinterp linear set 1"
ART_KIND = "animeinterp linear art 1"


def check_trainable(folder: Path) -> None:
    """Raise UsageError if training data, or images for it, would come from a linear set or from its art.

    Args:
        folder: A data set, one of its triplets, or a folder of images.
    """
    folder = folder.absolute()
    for path in (folder, folder.parent):
        if _read_kind(manifest_path(path)) == KIND:
            raise UsageError(f"{path} is a linear set, which is for evaluation only; train on something else")
        if _read_kind(path / "art.json") == ART_KIND:
            raise UsageError(f"{path} is the art of linear sets, which are for evaluation only; train on other art")


def _read_kind(path: Path) -> object:
    """Return the kind stated in a manifest; None if there is no readable manifest."""
    try:
        content = read_json(path, "a manifest", MAX_MANIFEST_BYTES) if path.is_file() else None
    except (FileError, OSError):
        return None
    return content.get("kind") if isinstance(content, dict) else None
