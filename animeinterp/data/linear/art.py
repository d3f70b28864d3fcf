"""The art from which a linear set is composed; `benchmarks/linear_art.py` fetches that of the published set.

ART/figures/NAME.png        figures, with alpha
ART/backgrounds/NAME.png    backgrounds, opaque
ART/middle/NAME.png         middle grounds, with alpha, which reach the lower edge of the image; optional
ART/art.json                kind, and for each file package, source and license; "bust": true for figures that are
                            cut off at their lower edge
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.data.linear.record import ART_KIND
from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import check_name
from animeinterp.io.images import read_image
from animeinterp.io.reading import MEGABYTE, read_json

FOLDERS = ("figures", "backgrounds", "middle")
MIN_FIGURES = 4
_MAX_PIXELS = Options().max_pixels
_MAX_ART_BYTES = 16 * MEGABYTE
_EXPECTED = "art.json of art for a linear set, as benchmarks/linear_art.py writes it"


@dataclass(frozen=True, slots=True)
class Art:
    """A folder of art. Names are paths below it, such as `figures/ninja.png`, in alphabetical order.

    Attributes:
        folder: The folder.
        figures: Names of the figures.
        backgrounds: Names of the backgrounds.
        middle: Names of the middle grounds.
        busts: Names of figures that are cut off at their lower edge, which must stay outside the frame.
        sources: For each name its entry in art.json: package, source, license.
        packages: Version, origin and license of each package.
    """

    folder: Path
    figures: tuple[str, ...]
    backgrounds: tuple[str, ...]
    middle: tuple[str, ...]
    busts: frozenset[str]
    sources: dict[str, dict[str, Any]]
    packages: dict[str, Any] = field(default_factory=dict)

    def read(self, name: str) -> NDArray[np.uint8]:
        """Read an image as uint8 (H, W, 4) RGBA; opaque if it has no alpha. Raises FileError."""
        pixels: Any = read_image(self.folder / name, _MAX_PIXELS).pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3:
            raise FileError(f"{self.folder / name} is not 8-bit RGB or RGBA; convert it")
        if pixels.shape[2] == 3:
            pixels = np.dstack([pixels, np.full_like(pixels[..., :1], 255)])
        return np.asarray(pixels, np.uint8)


def read_art(folder: Path) -> Art:
    """Read the description of a folder of art. No image is opened.

    Args:
        folder: The folder.

    Returns:
        The art.

    Raises:
        FileError: art.json is missing or damaged, or names files that are missing or elsewhere.
        UsageError: There are fewer than four figures or no background.
    """
    path = folder / "art.json"
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected art that benchmarks/linear_art.py fetched")
    content = read_json(path, _EXPECTED, _MAX_ART_BYTES)
    if not isinstance(content, dict) or content.get("kind") != ART_KIND or not isinstance(content.get("files"), dict):
        raise FileError(f"{path} is of another kind; expected {_EXPECTED}")
    sources, packages = content["files"], content.get("packages")
    names: dict[str, list[str]] = {name: [] for name in FOLDERS}
    for name, source in sources.items():
        subfolder, *rest = PurePosixPath(name).parts or ("",)
        if subfolder not in names or len(rest) != 1 or not isinstance(source, dict):
            raise FileError(f"{path} names {name[:100]!r}; expected files in {', '.join(FOLDERS)}")
        if not (folder / subfolder / check_name(rest[0], str(path))).is_file():
            raise FileError(f"{path} names {name}, which is missing; fetch the art again")
        names[subfolder].append(name)
    figures, backgrounds, middle = (tuple(sorted(names[name])) for name in FOLDERS)
    if len(figures) < MIN_FIGURES or not backgrounds:
        raise UsageError(
            f"{folder} holds {len(figures)} figures and {len(backgrounds)} backgrounds; expected at least "
            f"{MIN_FIGURES} and 1"
        )
    busts = frozenset(name for name in figures if sources[name].get("bust") is True)
    return Art(folder, figures, backgrounds, middle, busts, sources, packages if isinstance(packages, dict) else {})
