"""The contact sheet of a built data set: HTML pages on which the user rejects triplets.

A page holds its images, so that it is one file; large sets have several pages. A local page cannot write files, so it
offers the list of rejected names as a download for `animeinterp dataset prune`. The content comes from the annotations:
the sheet can be written again without the films.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from animeinterp.data.layout import annotations_folder, sibling
from animeinterp.data.types import LEVELS
from animeinterp.errors import FileError
from animeinterp.frame import RGBImage
from animeinterp.io.files import report_write_errors, write_bytes
from animeinterp.io.pages import create_environment
from animeinterp.io.reading import MEGABYTE, describe_error, finite_number, read_bytes, read_json

_WIDTH = 288  # px of each of the three images
_JPEG_QUALITY = 80
_TRIPLETS_PER_PAGE = 500
_MAX_SIZE = 1e6  # px, of numbers in annotations


def encode_strip(frames: Sequence[RGBImage]) -> bytes:
    """Encode the three frames of a triplet, reduced and side by side, as a JPEG file.

    Args:
        frames: uint8 (H, W, 3) RGB.

    Returns:
        The content of the file.
    """
    height, width = frames[0].shape[:2]
    size = _WIDTH, max(1, round(_WIDTH * height / width))
    row = np.concatenate([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames], axis=1)
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(row[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return data.tobytes()


def write_sheet(folder: Path) -> list[Path]:
    """Write the contact sheet beside a data set, and remove superfluous pages of an older one.

    Args:
        folder: The data set.

    Returns:
        The pages.

    Raises:
        FileError: They cannot be written.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    size = _TRIPLETS_PER_PAGE
    pages = [names[i : i + size] for i in range(0, len(names), size)] or [[]]
    paths = [_page_path(folder, number) for number in range(1, len(pages) + 1)]
    for index, (path, page) in enumerate(zip(paths, pages, strict=True)):
        write_bytes(path, render_page(folder, paths, index, page), force=True)
    number = len(paths) + 1
    with report_write_errors(folder):
        while (old := _page_path(folder, number)).exists():
            old.unlink()
            number += 1
    return paths


def render_page(folder: Path, paths: Sequence[Path], index: int, names: Sequence[str]) -> bytes:
    """Render a page of the contact sheet.

    Args:
        folder: The data set.
        paths: All pages.
        index: Index of this page.
        names: The triplets on it.

    Returns:
        The HTML file.
    """
    title, several = folder.absolute().name, len(paths) > 1
    cards = [_describe_card(annotations_folder(folder) / name, name) for name in names]
    template = create_environment("animeinterp.data.films").get_template("contact_sheet.html")
    page = template.render(
        title=f"{title}, {index + 1} of {len(paths)}" if several else title,
        pages=[path.name for path in paths] if several else [],
        levels=LEVELS,
        folder=folder.name,
        count=len(names),
        cards=[card for card in cards if card],
    )
    return page.encode("utf-8", "replace")  # names may hold lone surrogates


def _page_path(folder: Path, number: int) -> Path:
    return sibling(folder, f"_sheet{f'_{number}' if number > 1 else ''}.html")


def _describe_card(folder: Path, name: str) -> dict[str, Any] | None:
    """Describe a triplet for the template; None if its annotation was removed."""
    if not (folder / f"{name}.json").exists():
        return None
    try:
        annotation = read_json(folder / f"{name}.json", "an annotation")
        strip = base64.b64encode(read_bytes(folder / f"{name}.jpg", "a JPEG file", 4 * MEGABYTE)).decode()
        return {"name": name, "strip": strip, **_parse_annotation(annotation)}
    except (FileError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        return {"name": name, "fault": describe_error(error)}


def _parse_annotation(annotation: dict[str, Any]) -> dict[str, object]:
    """Return level, CSS of the frames and of the RoI, and captions. Raises ValueError and other parser errors."""
    level = LEVELS[int(finite_number(annotation["level"], "level", 0, len(LEVELS) - 1))]
    width, height = (finite_number(value, "image_size", 1, _MAX_SIZE) for value in annotation["image_size"])
    roi = annotation["motion_RoI"]
    x, y, columns, rows = (finite_number(roi[key], key, -_MAX_SIZE, _MAX_SIZE) for key in ("x", "y", "width", "height"))
    source, measured = annotation["source"], annotation["measured"]
    minutes, seconds = divmod(finite_number(source["time"], "time", 0, 1e9), 60)
    displacement, occluded = (finite_number(measured[key], key, 0, _MAX_SIZE) for key in ("displacement", "occluded"))
    similarities = [finite_number(value, "ssim", -1, 1) for value in measured["ssim"]][:2]
    return {
        "level": level,
        "shape": f"aspect-ratio:{width:g}/{height:g}",
        "box": f"left:{x / width:.2%};top:{y / height:.2%};width:{columns / width:.2%};height:{rows / height:.2%}",
        "facts": (
            f"{str(source['film'])[:255]} at {int(minutes)}:{seconds:05.2f}",
            level,
            f"{displacement:.1f} px, {occluded:.0%} occluded",
            "SSIM " + ", ".join(f"{value:.3f}" for value in similarities),
        ),
    }
