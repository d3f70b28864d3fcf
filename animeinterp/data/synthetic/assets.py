"""Images for synthetic scenes, loaded once: sprites with alpha, backgrounds, and generated shapes.

An assets folder holds `manifest.json`, a list of records with `file` (relative to the folder, in `sprites/` or
`backgrounds/`), `license` and `source`.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.data.synthetic.shapes import generate_background, generate_shapes
from animeinterp.errors import FileError
from animeinterp.io.files import check_name
from animeinterp.io.reading import MEGABYTE, describe_error, read_json

SPRITE_SIDE, _MARGIN = 256, 4  # px; the margin is transparent
GENERATED_BACKGROUNDS = 48


class Assets(NamedTuple):
    """Images for scenes, all on one device.

    Attributes:
        sprites: uint8 (S, 4, SPRITE_SIDE, SPRITE_SIDE), premultiplied RGBA.
        backgrounds: uint8 (B, 3, side, side) RGB.
        shapes: float32 (K, 1, 128, 128), signed distances, see `animeinterp.data.synthetic.shapes`.
    """

    sprites: Tensor
    backgrounds: Tensor
    shapes: Tensor


def load_assets(folder: Path | None, background_side: int, max_sprites: int, seed: int, device: torch.device) -> Assets:
    """Read sprites and all backgrounds of a folder, and generate shapes and further backgrounds.

    Args:
        folder: Assets folder; None for generated images only.
        background_side: Side of the backgrounds, px.
        max_sprites: Most sprites to load; the seed chooses them.
        seed: Seed of everything random.
        device: Device of the tensors.

    Raises:
        FileError: The folder, its manifest or an image cannot be read.
    """
    rng = np.random.default_rng((seed, 0))
    generated = [generate_background(rng, background_side) for _ in range(GENERATED_BACKGROUNDS)]
    files = [] if folder is None else _list_files(folder)
    background_files = [file for file in files if file.parent.name == "backgrounds"]
    sprite_files = [file for file in files if file.parent.name == "sprites"]
    sprite_files = [sprite_files[index] for index in sorted(rng.permutation(len(sprite_files))[:max_sprites])]
    with ThreadPoolExecutor(max_workers=4) as pool:
        sprites = _stack(pool.map(_read_sprite, sprite_files), len(sprite_files), SPRITE_SIDE, 4)
        read = pool.map(lambda file: _read_background(file, background_side), background_files)
        backgrounds = _stack(chain(generated, read), len(generated) + len(background_files), background_side, 3)
    shapes = torch.from_numpy(generate_shapes(seed)[:, None])
    return Assets(sprites.to(device), backgrounds.to(device), shapes.to(device))


def _list_files(folder: Path) -> list[Path]:
    manifest = folder / "manifest.json"
    records = read_json(manifest, "a list of records with `file`", 64 * MEGABYTE)
    try:
        files = [str(record["file"]) for record in records]
    except (TypeError, KeyError) as error:
        raise FileError(
            f"{manifest} is not a list of records with `file`: {describe_error(error)}; make it again"
        ) from error
    # The manifest's paths have slashes on every system. The root of an absolute path fails as a name.
    parts = [PurePosixPath(file).parts or ("",) for file in files]
    return [folder.joinpath(*(check_name(part, str(manifest)) for part in names)) for names in parts]


def _read(file: Path, flags: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(file), flags)
    if image is None or image.dtype != np.uint8:
        raise FileError(f"cannot read {file}; expected an 8-bit image, so fetch the assets again")
    return np.asarray(image, np.uint8)


def _read_sprite(file: Path) -> NDArray[np.uint8]:
    """Read a sprite and center it: uint8 (SPRITE_SIDE, SPRITE_SIDE, 4), premultiplied."""
    image = _read(file, cv2.IMREAD_UNCHANGED)
    if image.ndim != 3 or image.shape[2] != 4:
        raise FileError(f"{file} has no alpha; expected a sprite, RGBA")
    alpha = image[..., 3:].astype(np.float32)
    premultiplied = np.concatenate([image[..., 2::-1] * (alpha / 255), alpha], 2)
    height, width = premultiplied.shape[:2]
    scale = (SPRITE_SIDE - 2 * _MARGIN) / max(height, width)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    resized = _resize(premultiplied, (width, height), scale)
    sprite = np.zeros((SPRITE_SIDE, SPRITE_SIDE, 4), np.uint8)
    top, left = (SPRITE_SIDE - height) // 2, (SPRITE_SIDE - width) // 2
    sprite[top : top + height, left : left + width] = np.clip(np.rint(resized), 0, 255)
    return sprite


def _read_background(file: Path, side: int) -> NDArray[np.uint8]:
    """Read the central square of a background, uint8 (side, side, 3) RGB."""
    image = _read(file, cv2.IMREAD_COLOR)[..., ::-1]
    height, width = image.shape[:2]
    scale = side / min(height, width)
    width, height = max(side, round(width * scale)), max(side, round(height * scale))
    resized = _resize(image, (width, height), scale)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(resized[top : top + side, left : left + side])


def _resize(image: NDArray[Any], size: tuple[int, int], scale: float) -> NDArray[Any]:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _stack(images: Iterable[NDArray[np.uint8]], count: int, side: int, channels: int) -> Tensor:
    """Stack images (side, side, channels) into (count, channels, side, side), one at a time to save memory."""
    stacked = torch.empty(count, channels, side, side, dtype=torch.uint8)
    for plane, image in zip(stacked, images, strict=True):
        plane.copy_(torch.from_numpy(image).permute(2, 0, 1))
    return stacked
