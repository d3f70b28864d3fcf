"""Find the weights files of a preset on this machine. Needs no torch."""

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
    """Return the path of this user's weights of `studio`, which may not exist yet."""
    return platformdirs.user_data_path("animeinterp", appauthor=False) / "studio.safetensors"


def installed_weights(name: str) -> Path | None:
    """Return the file of a model's weights that was shipped or fetched, None if there is none."""
    if name != "studio":
        return shipped_weights(name)
    path = studio_weights()
    return path if path.is_file() else None


def weight_files(name: str, given: Path | str | None = None) -> dict[str, Path]:
    """Find the files of a preset's weights.

    Args:
        name: The preset.
        given: The user's file, instead of the one that was shipped or fetched.

    Returns:
        Regular files, not opened yet, by the part of the network that each fills; the part "" is the whole network.
        Empty for a preset without weights.

    Raises:
        UsageError: A file is given for a preset without weights.
        FileError: A file is missing or not a regular file.
        WeightsError: No file is given, and the one on this machine is missing or damaged.
    """
    if PRESETS[name].network is None:
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
