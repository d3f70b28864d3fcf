"""The art that a linear set is composed of, as a folder; `benchmarks/linear_art.py` fetches that of the published set.

ART/figures/NAME.png        with alpha, one figure each
ART/backgrounds/NAME.png    opaque
ART/middle/NAME.png         with alpha: middle grounds, which reach down to the lower edge of the picture; optional
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
_MAX_PIXELS = Options().max_pixels
_EXPECTED = "art.json of art for a linear set, as benchmarks/linear_art.py writes it"

Pixels = NDArray[np.uint8]  # (H, W, 4) RGBA


@dataclass(frozen=True, slots=True)
class Art:
    """What a folder of art holds. Names are paths below it, such as `figures/ninja.png`, in alphabetical order.

    busts: those of the figures that are cut off at their lower edge, which must not be seen. sources: what art.json
    says of each file: package, source, license. packages: version, origin and license of each.
    """

    folder: Path
    figures: tuple[str, ...]
    backgrounds: tuple[str, ...]
    middle: tuple[str, ...]
    busts: frozenset[str]
    sources: dict[str, dict[str, Any]]
    packages: dict[str, Any] = field(default_factory=dict)

    def read(self, name: str) -> Pixels:
        """A file's pixels, uint8 (H, W, 4); opaque where it has no alpha. Raises FileError."""
        pixels: Any = read_image(self.folder / name, _MAX_PIXELS).pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3:
            raise FileError(f"{self.folder / name} is not 8-bit RGB or RGBA; convert it")
        if pixels.shape[2] == 3:
            pixels = np.dstack([pixels, np.full_like(pixels[..., :1], 255)])
        return np.asarray(pixels, np.uint8)


def read_art(folder: Path) -> Art:
    """Read what a folder of art holds; no picture is opened yet.

    Raises:
        FileError: There is no art.json, or it is damaged, or names files that are not there or lie elsewhere.
        UsageError: There are fewer than four figures or no background.
    """
    path = folder / "art.json"
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected art that benchmarks/linear_art.py fetched")
    content = read_json(path, _EXPECTED, 16 * MEGABYTE)
    if not is_art(content) or not isinstance(content.get("files"), dict):
        raise FileError(f"{path} is of another kind; expected {_EXPECTED}")
    found: dict[str, list[str]] = {name: [] for name in FOLDERS}
    for name, source in content["files"].items():
        place, *rest = PurePosixPath(name).parts or ("",)
        if place not in found or len(rest) != 1 or not isinstance(source, dict):
            raise FileError(f"{path} names {name[:100]!r}; expected files in {', '.join(FOLDERS)}")
        if not (folder / place / check_name(rest[0], str(path))).is_file():
            raise FileError(f"{path} names {name}, which is not there; fetch the art again")
        found[place].append(name)
    figures, backgrounds, middle = (tuple(sorted(found[name])) for name in FOLDERS)
    if len(figures) < 4 or not backgrounds:
        raise UsageError(f"{folder} holds {len(figures)} figures and {len(backgrounds)} backgrounds; expected 4 and 1")
    sources, packages = content["files"], content.get("packages")
    busts = frozenset(name for name in figures if sources[name].get("bust") is True)
    return Art(folder, figures, backgrounds, middle, busts, sources, packages if isinstance(packages, dict) else {})


def is_art(content: object) -> bool:
    """Whether the content of an art.json is of this kind."""
    return isinstance(content, dict) and content.get("kind") == ART_KIND
