"""Triplets of cel-shaded 3D characters that play their clips, with exact flow.

    folder of .glb ──► Figure ──► Scene ──► Rendering ──► grading, degradation ──► Triplet

A triplet depends on its seeds and number only. The frame at time t is drawn at exactly t of the clip, whose motion is
not linear. Flow is float32 (2, H, W), x first, px. Only frames 0 and 1 are degraded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from animeinterp.config import Options
from animeinterp.data.characters.figure import open_figures
from animeinterp.data.characters.scene import render_scene
from animeinterp.data.characters.scene_spec import sample_scene
from animeinterp.data.synthetic.degrade import degrade, grade, grain_tile
from animeinterp.data.synthetic.rng import SceneRng
from animeinterp.data.synthetic.shapes import generate_background
from animeinterp.data.types import Triplet
from animeinterp.errors import FileError
from animeinterp.frame import RGBImage, rgb8
from animeinterp.io.images import read_image

TRIPLET_SIZE = (432, 640)  # height, width, px; larger than the crops, so that they see coarse flow of a whole frame
IMAGE_FRACTION = 0.6  # of the scenes, if there are images for backgrounds
_BACKGROUND_SCALE = 1.4  # of a background relative to the frame
_IMAGE_SUFFIXES = {".webp", ".png", ".jpg", ".jpeg"}


def triplets(folder: Path, seeds: Sequence[int], backgrounds: Path | None = None) -> Iterator[Triplet]:
    """Render triplets of `TRIPLET_SIZE`, endlessly, the same for the same seeds.

    Args:
        folder: Folder of rigged characters (.glb).
        seeds: Combined into one seed.
        backgrounds: Folder of images for backgrounds; None for generated ones only.

    Yields:
        The triplets.

    Raises:
        FileError: There are no characters or images, or one is damaged.
    """
    figures = open_figures(folder)
    files = [] if backgrounds is None else _list_images(backgrounds)
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    grain = _grain()
    for index in itertools.count():
        rng = np.random.default_rng((seed, index))
        scene = sample_scene(rng, figures, TRIPLET_SIZE, _choose_background(rng, files))
        drawn = render_scene(scene)
        # Other numbers than those of the scene.
        noise = SceneRng(seed, [index])
        frame0, truth, frame1 = grade([_to_tensor(frame) for frame in (drawn.frame0, drawn.truth, drawn.frame1)], noise)
        frame0, frame1 = degrade([frame0, frame1], noise, grain)
        yield Triplet(
            frame0=_to_image(frame0), truth=_to_image(truth), frame1=_to_image(frame1), t=scene.t,
            flow01=drawn.flow01, flow10=drawn.flow10, known0=drawn.known0, known1=drawn.known1,
        )  # fmt: skip


def _list_images(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in _IMAGE_SUFFIXES)
    if not files:
        raise FileError(f"expected images for backgrounds in {folder}, found none; give their folder, or leave it out")
    return files


def _choose_background(rng: np.random.Generator, files: Sequence[Path]) -> RGBImage:
    """Read one of the images, or generate a background."""
    if not files or rng.random() >= IMAGE_FRACTION:
        return generate_background(rng, round(max(TRIPLET_SIZE) * _BACKGROUND_SCALE))
    return _read_background(files[int(rng.integers(len(files)))])


@lru_cache(maxsize=16)
def _read_background(path: Path) -> RGBImage:
    """Read an image and scale it so that it covers more than a frame."""
    image = rgb8(read_image(path, Options().max_pixels).pixels)
    scale = _BACKGROUND_SCALE * max(target / side for target, side in zip(TRIPLET_SIZE, image.shape[:2], strict=False))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=mode), np.uint8)


@lru_cache(maxsize=1)
def _grain() -> Tensor:
    return grain_tile(0)


def _to_tensor(image: RGBImage) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def _to_image(frame: Tensor) -> RGBImage:
    return np.ascontiguousarray(np.rint(frame[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255).astype(np.uint8))
