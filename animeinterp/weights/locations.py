"""Which files the network of a preset is filled from, and where they lie. Needs no torch."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from animeinterp.config import PRESETS
from animeinterp.errors import UsageError, WeightsError
from animeinterp.io.files import check_source
from animeinterp.weights.containers import EXPECTED
from animeinterp.weights.records import shipped_weights

GET_STUDIO = "animeinterp weights get studio"


def studio_weights() -> Path:
    """Where `studio`'s weights of this user lie, whether they are there or not."""
    return platformdirs.user_data_path("animeinterp", appauthor=False) / "studio.safetensors"


def installed_weights(name: str) -> Path | None:
    """The weights of a model that are on this machine without being given: shipped or fetched; None where none are."""
    if name != "studio":
        return shipped_weights(name)
    path = studio_weights()
    return path if path.is_file() else None


def weight_files(name: str, given: Path | str | None = None) -> dict[str, Path]:
    """The files of a preset's weights, by the part of the network that each fills ("" is the whole).

    Args:
        name: The preset.
        given: The user's file, in place of the one that is shipped or fetched.

    Returns:
        Ordinary files, not opened yet; none for a preset without weights.

    Raises:
        UsageError: A file is given for a preset without weights.
        FileError: A file is missing or not an ordinary file.
        WeightsError: No file is given, and the one on this machine is missing or damaged.
    """
    if PRESETS[name].flow == "dis":
        if given is not None:
            raise UsageError(f"model {name!r} has no weights, got {given}; leave them out or choose another model")
        return {}
    path = installed_weights(name) if given is None else Path(given)
    if path is None and name == "studio":
        raise WeightsError(
            f"model 'studio' needs public weights that are not on this machine; run {GET_STUDIO} (103 MB) once, "
            "or give the file that it wrote (weights=…, --weights PATH)"
        )
    if path is None:
        raise WeightsError(f"model {name!r} needs its weights; give their path (weights=…, --weights PATH)")
    check_source(path, EXPECTED)
    if name == "studio" and given is None:
        from animeinterp.weights.studio import is_studio

        if not is_studio(path):
            raise WeightsError(f"{path} is damaged, or of another version; run {GET_STUDIO} again")
    if name != "studio":
        return {"": path}
    light = shipped_weights("cel")
    return {"heavy": path} if light is None else {"light": light, "heavy": path}
