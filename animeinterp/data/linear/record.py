"""What marks a linear set, so that nothing is trained on it: the kind that its manifest states.

Needs neither torch nor pictures.
"""

from __future__ import annotations

from pathlib import Path

from animeinterp.errors import FileError, UsageError
from animeinterp.io.reading import MEGABYTE, read_json

KIND = "animeinterp linear set 1"
ART_KIND = "animeinterp linear art 1"
LARGEST = 64 * MEGABYTE  # of a manifest


def manifest_of(folder: Path) -> Path:
    """Where the manifest of a linear set lies: beside its folder."""
    return _beside(folder, "_manifest.json")


def annotations_of(folder: Path) -> Path:
    """Where the annotations of a linear set lie, as those of any other."""
    return _beside(folder, "_annotations")


def masks_folder(folder: Path) -> Path:
    """Where the masks of a linear set lie."""
    return _beside(folder, "_masks")


def check_trainable(folder: Path) -> None:
    """Raise UsageError for a linear set, one of its triplets, or the art that such sets are composed of.

    Args:
        folder: What training data, or pictures for it, are to come from.
    """
    folder = folder.absolute()
    for place in (folder, folder.parent):
        if _kind(manifest_of(place)) == KIND:
            raise UsageError(f"{place} is a linear set, which is for evaluation only; train on something else")
        if _kind(place / "art.json") == ART_KIND:
            raise UsageError(f"{place} is the art of linear sets, which are for evaluation only; train on other art")


def _kind(path: Path) -> object:
    """The kind that a manifest states; None without one that can be read."""
    try:
        content = read_json(path, "a manifest", LARGEST) if path.is_file() else None
    except (FileError, OSError):
        return None
    return content.get("kind") if isinstance(content, dict) else None


def _beside(folder: Path, suffix: str) -> Path:
    folder = folder.absolute()  # `.` has no name
    return folder.with_name(folder.name + suffix)
