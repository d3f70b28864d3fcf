"""Removes triplets of a built data set, and nothing else.

Only files that this package writes are deleted, by their names, in the three folders of a data set: frames, annotations
and flows. Everything is checked before anything is deleted: a folder that holds another file is refused, and links are
not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.io.files import check_name, is_link, report_write_errors

# File managers create these in every folder they show.
_LITTER = (r"\.DS_Store", r"Thumbs\.db", r"desktop\.ini")
_FRAMES = (r"frame[123]\.(?:png|jpe?g|webp)", *_LITTER)
_FLOWS = (r"guide_flo13\.npy", r"guide_flo31\.npy", *_LITTER)

RemovalPlan = list[tuple[Path, list[Path]]]  # folders, and links, each with the files in it


def plan_removal(folder: Path, annotations: Path, flows: Path, names: Iterable[str]) -> RemovalPlan:
    """List what belongs to triplets, their annotations and flows. Missing parts are skipped.

    Args:
        folder: The data set, of NAME/frame1.png and so on.
        annotations: Folder of NAME/NAME.json and NAME.jpg.
        flows: Folder of NAME/guide_flo13.npy and guide_flo31.npy.
        names: The triplets.

    Returns:
        The plan for `remove`.

    Raises:
        FileError: A name is not a plain name, or a folder cannot be read.
        UsageError: A folder holds other things or is behind a link.
    """
    plan: RemovalPlan = []
    for name in names:
        check_name(name, f"the list of triplets of {folder}")
        for root, patterns in ((folder, _FRAMES), (annotations, _annotation_patterns(name)), (flows, _FLOWS)):
            if root is not folder and is_link(root) and (root / name).exists():
                raise UsageError(
                    f"{root} is a link, and nothing behind links is deleted; replace it with the folder itself"
                )
            plan += _plan_folder(root / name, patterns)
    return plan


def plan_annotation_removal(folder: Path, name: str) -> RemovalPlan:
    """List the annotation NAME in a folder of annotations, if it exists. Raises as `plan_removal`."""
    return _plan_folder(folder / check_name(name, str(folder)), _annotation_patterns(name))


def remove(plan: RemovalPlan) -> None:
    """Delete what was planned. Raises FileError if the system refuses."""
    for folder, files in plan:
        with report_write_errors(folder):
            for path in files:
                path.unlink()
            if folder.is_symlink():
                folder.unlink()
            else:
                folder.rmdir()  # a junction too


def _annotation_patterns(name: str) -> tuple[str, ...]:
    """Return the patterns of the files in the annotation folder of a triplet."""
    stem = re.escape(name)
    return (rf"{stem}\.json", rf"{stem}\.jpg", *_LITTER)


def _plan_folder(folder: Path, patterns: tuple[str, ...]) -> RemovalPlan:
    """List a folder and the files in it; a link is listed without what is behind it."""
    if is_link(folder):
        return [(folder, [])]
    with report_write_errors(folder):
        if not folder.exists():
            return []
        entries = sorted(folder.iterdir()) if folder.is_dir() else [folder]
        allowed = re.compile("|".join(patterns), re.IGNORECASE)
        foreign = [
            path for path in entries if not allowed.fullmatch(path.name) or (path.is_dir() and not is_link(path))
        ]
    if foreign:
        raise UsageError(f"{foreign[0]} is not part of a triplet, so nothing was deleted; move it away and try again")
    return [(folder, entries)]
