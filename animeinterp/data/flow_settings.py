"""How the flows of a data set are found, and that a folder holds those of one way alone; needs no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from animeinterp import __version__
from animeinterp.data.layout import sibling
from animeinterp.errors import UsageError
from animeinterp.io.files import make_folder, write_text
from animeinterp.io.reading import read_json


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """How flows are found.

    deformation: see `animeinterp.config.ModelConfig`. style: see `animeinterp.config.Options`. vgg: VGG-19 weights,
    as in `load_interpolator`; without them segments are matched by descriptors that need none.
    """

    deformation: Literal["published", "quick"] = "published"
    style: Literal["auto", "western", "japanese"] = "auto"
    vgg: Path | None = None


def check_settings(folder: Path, settings: FlowSettings, *, write: bool = False) -> None:
    """Raise unless flows of these settings can go into a folder.

    Args:
        folder: Of the flows; the settings lie beside it.
        settings: How flows are found.
        write: Whether the settings are written, where there are none.

    Raises:
        UsageError: The folder holds flows of other settings, or other things.
        FileError: The settings cannot be read or written.
    """
    weights = settings.vgg.name if settings.vgg else None
    wanted = {"deformation": settings.deformation, "style": settings.style, "vgg": weights, "version": __version__}
    path = sibling(folder, ".json")
    if not path.exists():
        if folder.exists() and (not folder.is_dir() or any(path.name != "lock" for path in folder.iterdir())):
            raise UsageError(f"{folder} holds other things, perhaps the published flows; choose another with -o")
        if not write:
            return
        make_folder(folder.parent)
        write_text(path, json.dumps(wanted, indent=1) + "\n")
        return
    known = read_json(path, f"the settings of flows; else take it and {folder} away and begin anew")
    if known != wanted:
        raise UsageError(
            f"{folder} has flows of other settings, {str(known)[:200]}, now {wanted}; choose another folder with -o"
        )
