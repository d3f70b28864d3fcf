"""Remove triplets of a built data set, and nothing else.

Only files that the package writes are deleted, by their names, in the three folders of a data set: frames, annotations
and flows. Everything is looked at before anything is deleted: a folder that holds another file is refused, and no link
is followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.io.files import check_name, is_link, report_write_errors

# What file managers leave in every folder that they show.
_LITTER = (r"\.DS_Store", r"Thumbs\.db", r"desktop\.ini")
_FRAMES = (r"frame[123]\.(?:png|jpe?g|webp)", *_LITTER)
_FLOWS = (r"guide_flo13\.npy", r"guide_flo31\.npy", *_LITTER)


Plan = list[tuple[Path, list[Path]]]


def plan_removal(folder: Path, annotations: Path, flows: Path, names: Iterable[str]) -> Plan:
    """What there is to delete of triplets, their annotations and flows. Those that are not there are passed over.

    Args:
        folder: The data set, of NAME/frame1.png and so on.
        annotations: Folder of NAME/NAME.json and NAME.jpg.
        flows: Folder of NAME/guide_flo13.npy and guide_flo31.npy.
        names: The triplets.

    Returns:
        Folders, and links, each with the files in it.

    Raises:
        FileError: A name is not a plain name, or a folder cannot be read.
        UsageError: A folder holds other things or lies behind a link.
    """
    found: Plan = []
    for name in names:
        check_name(name, f"the list of triplets of {folder}")
        for root, patterns in ((folder, _FRAMES), (annotations, _notes(name)), (flows, _FLOWS)):
            if root is not folder and is_link(root) and (root / name).exists():
                raise UsageError(f"{root} is a link, and nothing behind links is deleted; put the folder in its place")
            found += _contents(root / name, patterns)
    return found


def plan_annotation_removal(folder: Path, name: str) -> Plan:
    """The annotation NAME in a folder of annotations, if it is there. Raises as `plan_removal`."""
    return _contents(folder / check_name(name, str(folder)), _notes(name))


def remove(plan: Plan) -> None:
    """Delete what was planned. Raises FileError if the system refuses."""
    for place, files in plan:
        with report_write_errors(place):
            for path in files:
                path.unlink()
            if place.is_symlink():
                place.unlink()
            else:
                place.rmdir()  # a junction too


def _notes(name: str) -> tuple[str, ...]:
    """Patterns of what lies in the annotation folder of a triplet."""
    own = re.escape(name)
    return (rf"{own}\.json", rf"{own}\.jpg", *_LITTER)


def _contents(place: Path, patterns: tuple[str, ...]) -> Plan:
    """The folder `place` and the files to delete with it; a link is deleted without what is behind it."""
    if is_link(place):
        return [(place, [])]
    with report_write_errors(place):
        if not place.exists():
            return []
        entries = sorted(place.iterdir()) if place.is_dir() else [place]
        allowed = re.compile("|".join(patterns), re.IGNORECASE)
        strange = [
            path for path in entries if not allowed.fullmatch(path.name) or (path.is_dir() and not is_link(path))
        ]
    if strange:
        raise UsageError(f"{strange[0]} is not part of a triplet, so nothing was deleted; move it away and try again")
    return [(place, entries)]
