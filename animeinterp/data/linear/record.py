"""What marks a linear set, so that nothing is trained on it: the kind that its manifest states.

Needs neither torch nor pictures.
"""

from __future__ import annotations

from pathlib import Path

from animeinterp.data.layout import manifest_path
from animeinterp.errors import FileError, UsageError
from animeinterp.io.reading import MEGABYTE, read_json

KIND = "animeinterp linear set 1"
ART_KIND = "animeinterp linear art 1"
MAX_MANIFEST_BYTES = 64 * MEGABYTE  # of a manifest


def check_trainable(folder: Path) -> None:
    """Raise UsageError for a linear set, one of its triplets, or the art that such sets are composed of.

    Args:
        folder: What training data, or pictures for it, are to come from.
    """
    folder = folder.absolute()
    for place in (folder, folder.parent):
        if _kind(manifest_path(place)) == KIND:
            raise UsageError(f"{place} is a linear set, which is for evaluation only; train on something else")
        if _kind(place / "art.json") == ART_KIND:
            raise UsageError(f"{place} is the art of linear sets, which are for evaluation only; train on other art")


def _kind(path: Path) -> object:
    """The kind that a manifest states; None without one that can be read."""
    try:
        content = read_json(path, "a manifest", MAX_MANIFEST_BYTES) if path.is_file() else None
    except (FileError, OSError):
        return None
    return content.get("kind") if isinstance(content, dict) else None
