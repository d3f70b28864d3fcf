"""The art of synthetic scenes, loaded once: sprites with alpha, backgrounds, and shapes drawn here.

An assets folder holds `manifest.json`, a list of records with `file` (relative to the folder, under `sprites/` or
`backgrounds/`) and `license`, beside `source`.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.data.synthetic.shapes import drawn_background, shape_bank
from animeinterp.errors import FileError
from animeinterp.io.files import check_name
from animeinterp.io.reading import MEGABYTE, describe_error, read_json

SPRITE_SIDE, _MARGIN = 256, 4  # px; the margin is transparent
DRAWN_BACKGROUNDS = 48


class Art(NamedTuple):
    """All on one device.

    sprites: uint8 (S, 4, SPRITE_SIDE, SPRITE_SIDE) RGBA, premultiplied.
    backgrounds: uint8 (B, 3, side, side) RGB.
    shapes: float32 (K, 1, 128, 128), signed distances, see `animeinterp.data.synthetic.shapes`.
    """

    sprites: Tensor
    backgrounds: Tensor
    shapes: Tensor


def load_art(folder: Path | None, background_side: int, max_sprites: int, seed: int, device: torch.device) -> Art:
    """Read at most max_sprites sprites (chosen by the seed) and every background, and draw the shapes.

    folder: None draws everything here. Raises FileError if the folder, its manifest or a picture cannot be read.
    """
    rng = np.random.default_rng((seed, 0))
    drawn = [drawn_background(rng, background_side) for _ in range(DRAWN_BACKGROUNDS)]
    files = [] if folder is None else _listed(folder)
    pictured = [file for file in files if file.parent.name == "backgrounds"]
    cut_out = [file for file in files if file.parent.name == "sprites"]
    chosen = [cut_out[place] for place in sorted(rng.permutation(len(cut_out))[:max_sprites])]
    with ThreadPoolExecutor(max_workers=4) as pool:
        sprites = _planes(pool.map(_read_sprite, chosen), len(chosen), SPRITE_SIDE, 4)
        read = pool.map(lambda file: _read_background(file, background_side), pictured)
        backgrounds = _planes(chain(drawn, read), len(drawn) + len(pictured), background_side, 3)
    shapes = torch.from_numpy(shape_bank(seed)[:, None])
    return Art(sprites.to(device), backgrounds.to(device), shapes.to(device))


def _listed(folder: Path) -> list[Path]:
    manifest = folder / "manifest.json"
    records = read_json(manifest, "a list of records with `file`", 64 * MEGABYTE)
    try:
        files = [str(record["file"]) for record in records]
    except (TypeError, KeyError) as error:
        raise FileError(
            f"{manifest} is not a list of records with `file`: {describe_error(error)}; make it anew"
        ) from error
    # Names in the manifest have slashes on every system; an absolute one keeps its root, which is no plain name.
    parts = [PurePosixPath(file).parts or ("",) for file in files]
    return [folder.joinpath(*(check_name(part, str(manifest)) for part in names)) for names in parts]


def _read(file: Path, flags: int) -> NDArray[np.uint8]:
    picture = cv2.imread(str(file), flags)
    if picture is None or picture.dtype != np.uint8:
        raise FileError(f"cannot read {file}; expected an 8-bit picture, so fetch the assets again")
    return np.asarray(picture, np.uint8)


def _read_sprite(file: Path) -> NDArray[np.uint8]:
    """A sprite, centered: uint8 (SPRITE_SIDE, SPRITE_SIDE, 4), premultiplied."""
    picture = _read(file, cv2.IMREAD_UNCHANGED)
    if picture.ndim != 3 or picture.shape[2] != 4:
        raise FileError(f"{file} has no alpha; expected a sprite, RGBA")
    alpha = picture[..., 3:].astype(np.float32)
    flat = np.concatenate([picture[..., 2::-1] * (alpha / 255), alpha], 2)
    height, width = flat.shape[:2]
    scale = (SPRITE_SIDE - 2 * _MARGIN) / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(flat, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    full = np.zeros((SPRITE_SIDE, SPRITE_SIDE, 4), np.uint8)
    top, left = (SPRITE_SIDE - size[1]) // 2, (SPRITE_SIDE - size[0]) // 2
    full[top : top + size[1], left : left + size[0]] = np.clip(np.rint(small), 0, 255)
    return full


def _read_background(file: Path, side: int) -> NDArray[np.uint8]:
    """The middle of a background, uint8 (side, side, 3) RGB."""
    picture = _read(file, cv2.IMREAD_COLOR)[..., ::-1]
    height, width = picture.shape[:2]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    fitted = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (size[1] - side) // 2, (size[0] - side) // 2
    return np.ascontiguousarray(fitted[top : top + side, left : left + side])


def _planes(pictures: Iterable[NDArray[np.uint8]], count: int, side: int, channels: int) -> Tensor:
    """Pictures (side, side, channels) as one tensor (count, channels, side, side), held once in memory."""
    planes = torch.empty(count, channels, side, side, dtype=torch.uint8)
    for plane, picture in zip(planes, pictures, strict=True):
        plane.copy_(torch.from_numpy(picture).permute(2, 0, 1))
    return planes
