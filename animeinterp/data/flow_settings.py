"""How the SGM flows of a data set are computed; keeps flows of different settings apart. Does not import torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from animeinterp import __version__
from animeinterp.data.layout import sibling
from animeinterp.errors import UsageError
from animeinterp.io.files import is_free, make_folder, write_text
from animeinterp.io.reading import read_json


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """How SGM flows are computed.

    Attributes:
        deformation: See `animeinterp.config.SgmConfig`.
        style: See `animeinterp.config.Options`.
        vgg: VGG-19 weights, as in `load_interpolator`; None matches segments by descriptors without weights.
    """

    deformation: Literal["published", "quick"] = "published"
    style: Literal["auto", "western", "japanese"] = "auto"
    vgg: Path | None = None


def check_settings(folder: Path, settings: FlowSettings, *, write: bool = False) -> None:
    """Check that flows of these settings may be written into a folder.

    Args:
        folder: Folder of the flows; the settings are in FOLDER.json beside it.
        settings: How the flows are computed.
        write: Whether to write the settings if there are none.

    Raises:
        UsageError: The folder holds flows of other settings, or other things.
        FileError: The settings cannot be read or written.
    """
    weights = settings.vgg.name if settings.vgg else None
    expected = {"deformation": settings.deformation, "style": settings.style, "vgg": weights, "version": __version__}
    path = sibling(folder, ".json")
    if not path.exists():
        if not is_free(folder):
            raise UsageError(f"{folder} holds other things, perhaps the published flows; choose another with -o")
        if not write:
            return
        make_folder(folder.parent)
        write_text(path, json.dumps(expected, indent=1) + "\n")
        return
    stored = read_json(path, f"the settings of flows; otherwise remove it and {folder} and run this again")
    if stored != expected:
        raise UsageError(
            f"{folder} has flows of other settings, {str(stored)[:200]}, now {expected}; choose another folder with -o"
        )
