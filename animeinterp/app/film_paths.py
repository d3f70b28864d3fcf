"""Which films the page may open, and where it puts new ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from animeinterp.errors import FileError, UsageError
from animeinterp.video.film_list import name_target

_CUTS = re.compile(r"[0-9:.,s\s]*|none")


def resolve_film(text: str, folders: Sequence[Path]) -> Path:
    """Resolve a path that a visitor typed.

    Args:
        text: A path; relative ones begin in the first folder.
        folders: Folders whose films may be opened, resolved.

    Returns:
        The file or folder of frames, without links.

    Raises:
        UsageError: It leads out of the folders. This is decided before it is looked for, so that the answer does not
            tell which files exist elsewhere.
        FileError: Nothing is there.
    """
    try:
        path = (folders[0] / Path(text.strip().strip('"')).expanduser()).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{text!r} is not a path ({error}); give the path of a film") from error
    if not any(path.is_relative_to(folder) for folder in folders):
        names = ", ".join(map(str, folders))
        raise UsageError(f"the page may open films in {names} only; start it with --folder for another one")
    if not path.exists():
        raise FileError(f"expected a film at {text}, found nothing; check the name")
    return path


def choose_target(source: Path, folder: Path, taken: Sequence[Path] = (), container: str | None = None) -> Path:
    """Choose a free name for the new film of a source: `NAME_smooth`, or the same with a number.

    Args:
        source: The film.
        folder: Where the new one goes.
        taken: Names that other jobs will write to.
        container: See `animeinterp.video.film_list.name_target`.
    """
    plain = folder / name_target(source, "_smooth", container)
    number, target = 1, plain
    while target.exists() or target in taken:
        number += 1
        target = plain.with_name(f"{plain.stem}-{number}{plain.suffix}")
    return target


def check_cuts(text: str) -> str:
    """Return a list of cuts as one line, `none` if it is empty; UsageError for anything but numbers and times.

    The command line would take other text for the name of a file.
    """
    if not _CUTS.fullmatch(text.strip()):
        raise UsageError(f"expected cuts as frame numbers or times, such as 36, 1:30.5, 90.5s; got {text!r}")
    entries = [entry for entry in re.split(r"[,\s]+", text.strip()) if entry]
    return ",".join(entries) or "none"
