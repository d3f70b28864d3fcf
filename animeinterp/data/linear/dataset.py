"""Writes a linear set: shots composed of art, in ATD-12K's layout, whose true middle frame is exact.

    DIR/NAME/frame1.png frame2.png frame3.png    frame 2 is at exactly t = 0.5
    DIR_annotations/NAME/NAME.json               ATD-12K's keys, and what is true of the shot's motion
    DIR_masks/NAME/occlusion.png                 of frame 2: 0, 1 or 2, by how many of frames 1 and 3 the point is seen
    DIR_masks/NAME/borders.png                   of frame 2: 255 within 8 px of a motion border, else 0
    DIR_manifest.json                            seed, art with source and license, parameters of all layers

The same art, seed and options give the same set. The manifest comes first: it keeps the set out of training, see
`animeinterp.data.linear.record`.
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
from animeinterp.data.difficulty import classify_motion, measure_displacement
from animeinterp.data.layout import annotations_folder, manifest_path, masks_folder
from animeinterp.data.linear.art import Art, read_art
from animeinterp.data.linear.composing import Composition, Size, compose_shots
from animeinterp.data.linear.masks import Masks, compute_masks
from animeinterp.data.linear.placing import FRAME_TIMES
from animeinterp.data.linear.record import KIND, MAX_MANIFEST_BYTES
from animeinterp.data.linear.rendering import Shot, label_points, prepare_shot, render_frame
from animeinterp.data.types import LEVELS
from animeinterp.errors import UsageError
from animeinterp.frame import RGBImage, check_size
from animeinterp.io.files import atomic_folder, file_sha256, lock_folder, make_folder, write_text
from animeinterp.io.images import write_image
from animeinterp.io.reading import read_json

SIZE = (960, 540)  # px
_LEAST_SIDE = 64  # px: smaller frames cannot be scored
_MOVING = 0.5  # px; a pixel that moves by more against the background counts as moving
_MARGIN = 16  # px of 960x540, around what moves


def write_linear(folder: Path, art_folder: Path, count: int = 24, seed: int = 0, size: Size = SIZE) -> Iterator[str]:
    """Compose and write a linear set; a run that was broken off goes on. Nothing is written before the first name.

    Args:
        folder: The set's; masks, annotations and manifest lie beside it.
        art_folder: See `animeinterp.data.linear.art`.
        count: How many shots.
        seed: The same seed and art give the same set.
        size: Width and height of the frames, px.

    Yields:
        The name of each shot when it is there.

    Raises:
        UsageError: `folder` holds something else, or a set of another seed, count, size, version or art.
        FileError: The art cannot be read, or the set not be written.
    """
    check_size(*size, Options().max_pixels, "the size of the frames")
    if min(size) < _LEAST_SIDE:
        raise UsageError(f"expected frames of at least {_LEAST_SIDE}x{_LEAST_SIDE} px, got {size[0]}x{size[1]}")
    art = read_art(art_folder)
    read = cache(art.read)

    def size_of(name: str) -> Size:
        height, width = read(name).shape[:2]
        return width, height

    shots = compose_shots(art, count, seed, size, size_of)
    manifest = _manifest(art, shots, seed, size)
    _check_free(folder, manifest)
    make_folder(folder)
    with lock_folder(folder):
        write_text(manifest_path(folder), json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", force=True)
        for number, shot in enumerate(shots):
            if not os.path.lexists(folder / shot.name):
                pictures = [read(layer.file) for layer in shot.layers]
                _write(folder, shot, prepare_shot(shot.layers, pictures, *size), seed, number)
            yield shot.name


def _manifest(art: Art, shots: list[Composition], seed: int, size: Size) -> dict[str, Any]:
    used = sorted({layer.file for shot in shots for layer in shot.layers})
    return {
        "kind": KIND,
        "version": __version__,
        "seed": seed,
        "size": list(size),
        "packages": art.packages,
        "art": {name: art.sources[name] | {"sha256": file_sha256(art.folder / name)} for name in used},
        "shots": {
            shot.name: {
                "motion": shot.motion,
                "pan": list(shot.pan),
                "layers": [layer.described() for layer in shot.layers],
            }
            for shot in shots
        },
    }


def _check_free(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise UsageError unless a set can begin in `folder`, or go on."""
    path = manifest_path(folder)
    if path.exists():
        before = read_json(path, "the manifest of a linear set", MAX_MANIFEST_BYTES)
        # As JSON has it: no tuples.
        if before != json.loads(json.dumps(manifest)):
            raise UsageError(
                f"{folder} was made of other art, with other options or by another version; choose another"
            )
        return
    for place in (folder, annotations_folder(folder), masks_folder(folder)):
        if os.path.lexists(place) and (not place.is_dir() or any(path.name != "lock" for path in place.iterdir())):
            raise UsageError(f"{place} holds other things; choose another name")


def _write(folder: Path, composition: Composition, shot: Shot, seed: int, number: int) -> None:
    """Put a shot on disk; its frames come last and whole."""
    name, masks = composition.name, compute_masks(shot)
    frames = [render_frame(shot, t) for t in FRAME_TIMES]
    note = json.dumps(_annotation(shot, masks, frames, seed, number), indent=1) + "\n"
    for place in (annotations_folder(folder), masks_folder(folder)):
        make_folder(place / name)
    write_text(annotations_folder(folder) / name / f"{name}.json", note, force=True)
    for mask, pixels in (("occlusion", masks.seen), ("borders", np.uint8(255) * masks.borders)):
        write_image(masks_folder(folder) / name / f"{mask}.png", pixels, force=True)
    with atomic_folder(folder / name) as part:
        for index, frame in enumerate(frames, 1):
            write_image(part / f"frame{index}.png", frame)


def _annotation(shot: Shot, masks: Masks, frames: list[RGBImage], seed: int, number: int) -> dict[str, Any]:
    """ATD-12K's keys. The level follows the benchmark's rule, by optical flow, as in other sets; the rest is exact."""
    far = np.hypot(masks.motion[..., 0], masks.motion[..., 1])
    moving = far > _MOVING
    return {
        "image_size": [shot.width, shot.height],
        "motion_RoI": _region(shot),
        "level": LEVELS.index(classify_motion(*measure_displacement(frames[0], frames[2], shot.height / SIZE[1]))),
        # Everything moves, turns and grows: means by motion type would say the same three times.
        "general_motion_type": [],
        "behavior": [],
        "source": {"set": "linear", "seed": seed, "shot": number},
        "measured": {
            "displacement": round(float(far[moving].mean()) if moving.any() else 0.0, 2),
            "largest": round(float(far.max()), 2),
            "seen": [round(float((masks.seen == times).mean()), 4) for times in range(3)],
            "borders": round(float(masks.borders.mean()), 4),
        },
    }


def _region(shot: Shot) -> dict[str, int]:
    """The box of what is seen of layers before the background in any of the frames, with a margin; else the whole."""
    y, x = np.mgrid[: shot.height, : shot.width].astype(np.float64)
    shown = np.any([label_points(shot, t, x, y) > 0 for t in FRAME_TIMES], axis=0)
    margin = round(_MARGIN * shot.height / SIZE[1])
    left, width = _extent(shown.any(axis=0), margin)
    top, height = _extent(shown.any(axis=1), margin)
    return {"x": left, "y": top, "width": width, "height": height}


def _extent(shown: NDArray[np.bool_], margin: int) -> tuple[int, int]:
    """Where a row begins to show something, and for how long."""
    places = np.flatnonzero(shown) if shown.any() else np.array([0, len(shown) - 1])
    first, last = max(0, int(places[0]) - margin), min(len(shown), int(places[-1]) + 1 + margin)
    return first, last - first
