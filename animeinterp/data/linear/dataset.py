"""Writes a linear set: shots composed of art, in ATD-12K's layout, whose middle frame is exact.

    DIR/NAME/frame1.png frame2.png frame3.png    frame 2 is exactly at t = 0.5
    DIR_annotations/NAME/NAME.json               ATD-12K's keys, and exact measurements of the shot's motion
    DIR_masks/NAME/occlusion.png                 of frame 2: in how many of frames 1 and 3 the point is visible, 0 to 2
    DIR_masks/NAME/borders.png                   of frame 2: 255 within 8 px of a motion border, else 0
    DIR_manifest.json                            seed, art with source and license, parameters of all layers

The same art, seed and options give the same set. The manifest is written first, because it keeps the set out of
training (see `animeinterp.data.linear.record`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animeinterp import __version__
from animeinterp.config import Options
from animeinterp.data.difficulty import LEVEL_LIMITS, REGION_LIMITS, classify_motion, measure_displacement
from animeinterp.data.layout import MAX_MANIFEST_BYTES, annotations_folder, manifest_path, masks_folder
from animeinterp.data.linear.art import Art, read_art
from animeinterp.data.linear.composing import Composition, Size, compose_shots
from animeinterp.data.linear.masks import Masks, compute_masks
from animeinterp.data.linear.placing import FRAME_TIMES
from animeinterp.data.linear.record import KIND
from animeinterp.data.linear.rendering import Shot, label_points, prepare_shot, render_frame
from animeinterp.data.types import LEVELS
from animeinterp.errors import UsageError
from animeinterp.frame import RGBImage, check_size
from animeinterp.io.files import atomic_folder, file_sha256, is_free, lock_folder, make_folder, write_text
from animeinterp.io.images import write_image
from animeinterp.io.reading import read_json

SIZE = (960, 540)  # width, height, px


def write_linear(folder: Path, art_folder: Path, count: int = 24, seed: int = 0, size: Size = SIZE) -> Iterator[str]:
    """Compose and write a linear set, or continue an interrupted run. Nothing is written before the first name.

    Args:
        folder: The set; masks, annotations and manifest are beside it.
        art_folder: See `animeinterp.data.linear.art`.
        count: Number of shots.
        seed: The same seed and art give the same set.
        size: Width and height of the frames, px.

    Yields:
        The name of each shot once it exists.

    Raises:
        UsageError: `folder` holds other things, or a set of another seed, count, size, version or art.
        FileError: The art cannot be read or the set cannot be written.
    """
    check_size(*size, Options().max_pixels, "the size of the frames")
    side = REGION_LIMITS.min_side
    if min(size) < side:
        raise UsageError(f"expected frames of at least {side}x{side} px, got {size[0]}x{size[1]}; give a larger size")
    art = read_art(art_folder)
    read = cache(art.read)

    def size_of(name: str) -> Size:
        height, width = read(name).shape[:2]
        return width, height

    shots = compose_shots(art, count, seed, size, size_of)
    manifest = _describe_set(art, shots, seed, size)
    _check_folder(folder, manifest)
    make_folder(folder)
    with lock_folder(folder):
        write_text(manifest_path(folder), json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", force=True)
        for number, shot in enumerate(shots):
            if not os.path.lexists(folder / shot.name):
                images = [read(layer.file) for layer in shot.layers]
                _write_shot(folder, shot.name, prepare_shot(shot.layers, images, *size), seed, number)
            yield shot.name


def _describe_set(art: Art, shots: list[Composition], seed: int, size: Size) -> dict[str, Any]:
    """Return the manifest of a set."""
    files = sorted({layer.file for shot in shots for layer in shot.layers})
    return {
        "kind": KIND,
        "version": __version__,
        "seed": seed,
        "size": list(size),
        "packages": art.packages,
        "art": {name: art.sources[name] | {"sha256": file_sha256(art.folder / name)} for name in files},
        "shots": {
            shot.name: {
                "motion": shot.motion,
                "pan": list(shot.pan),
                "layers": [layer.to_json() for layer in shot.layers],
            }
            for shot in shots
        },
    }


def _check_folder(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise UsageError unless the set can be started or continued in `folder`."""
    path = manifest_path(folder)
    if path.exists():
        stored = read_json(path, "the manifest of a linear set", MAX_MANIFEST_BYTES)
        # Through JSON, which turns tuples into lists.
        if stored != json.loads(json.dumps(manifest)):
            raise UsageError(
                f"{folder} was made from other art, with other options or by another version; choose another"
            )
        return
    for root in (folder, annotations_folder(folder), masks_folder(folder)):
        if not is_free(root):
            raise UsageError(f"{root} holds other things; choose another name")


def _write_shot(folder: Path, name: str, shot: Shot, seed: int, number: int) -> None:
    """Write a shot; its frames come last and as a whole."""
    masks = compute_masks(shot)
    frames = [render_frame(shot, t) for t in FRAME_TIMES]
    annotation = json.dumps(_annotate(shot, masks, frames, seed, number), indent=1) + "\n"
    for root in (annotations_folder(folder), masks_folder(folder)):
        make_folder(root / name)
    write_text(annotations_folder(folder) / name / f"{name}.json", annotation, force=True)
    for mask, pixels in (("occlusion", masks.visibility), ("borders", np.uint8(255) * masks.borders)):
        write_image(masks_folder(folder) / name / f"{mask}.png", pixels, force=True)
    with atomic_folder(folder / name) as part:
        for index, frame in enumerate(frames, 1):
            write_image(part / f"frame{index}.png", frame)


def _annotate(shot: Shot, masks: Masks, frames: list[RGBImage], seed: int, number: int) -> dict[str, Any]:
    """Return the annotation. The level is by optical flow, as in other sets; the measurements are exact."""
    length = np.hypot(masks.motion[..., 0], masks.motion[..., 1])
    moving = length > LEVEL_LIMITS.moving_px
    return {
        "image_size": [shot.width, shot.height],
        "motion_RoI": _find_region(shot),
        "level": LEVELS.index(classify_motion(*measure_displacement(frames[0], frames[2], shot.height / SIZE[1]))),
        # Every shot translates, rotates and scales: means by motion type would be equal.
        "general_motion_type": [],
        "behavior": [],
        "source": {"set": "linear", "seed": seed, "shot": number},
        "measured": {
            "displacement": round(float(length[moving].mean()) if moving.any() else 0.0, 2),
            "largest": round(float(length.max()), 2),
            "seen": [round(float((masks.visibility == times).mean()), 4) for times in range(3)],
            "borders": round(float(masks.borders.mean()), 4),
        },
    }


def _find_region(shot: Shot) -> dict[str, int]:
    """Find the bounding box, with a margin, of everything visible in front of the background in any frame."""
    y, x = np.mgrid[: shot.height, : shot.width].astype(np.float64)
    foreground = np.any([label_points(shot, t, x, y) > 0 for t in FRAME_TIMES], axis=0)
    margin = round(REGION_LIMITS.margin * shot.height / SIZE[1])
    left, width = _find_extent(foreground.any(axis=0), margin)
    top, height = _find_extent(foreground.any(axis=1), margin)
    return {"x": left, "y": top, "width": width, "height": height}


def _find_extent(mask: NDArray[np.bool_], margin: int) -> tuple[int, int]:
    """Return start and length of the range of a mask (N,) that is set; everything if nothing is."""
    places = np.flatnonzero(mask) if mask.any() else np.array([0, len(mask) - 1])
    first, last = max(0, int(places[0]) - margin), min(len(mask), int(places[-1]) + 1 + margin)
    return first, last - first
