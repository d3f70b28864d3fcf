"""Where the parts of a data set are kept: beside its folder, named after it. Imports neither torch nor OpenCV."""

from __future__ import annotations

from pathlib import Path

from animeinterp.io.reading import MEGABYTE

MAX_MANIFEST_BYTES = 64 * MEGABYTE


def sibling(folder: Path, suffix: str) -> Path:
    """Return the path beside `folder` whose name is the folder's name and `suffix`."""
    folder = folder.absolute()  # `.` has no name
    return folder.with_name(folder.name + suffix)


def manifest_path(folder: Path) -> Path:
    """Return the path of the manifest of the data set in `folder`: DIR_manifest.json."""
    return sibling(folder, "_manifest.json")


def annotations_folder(folder: Path) -> Path:
    """Return the folder of the annotations of the data set in `folder`: DIR_annotations."""
    return sibling(folder, "_annotations")


def masks_folder(folder: Path) -> Path:
    """Return the folder of the masks of the linear set in `folder`: DIR_masks."""
    return sibling(folder, "_masks")


def flows_folder(folder: Path) -> Path:
    """Return the folder of the SGM flows of the data set in `folder`: DIR_pre_calc_sgm_flows.

    As published, the suffix replaces `_540p`: test_2k_540p has test_2k_pre_calc_sgm_flows.
    """
    folder = folder.absolute()
    return folder.with_name(folder.name.removesuffix("_540p") + "_pre_calc_sgm_flows")
