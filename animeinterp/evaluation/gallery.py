"""Write the gallery: a page of the crops of a data set that look worst.

Each row shows one crop: both frames, the true frame, the crop's position, and each model's drawing and error. The first
model selects the crops, see `animeinterp.evaluation.worst_crops`; the others are shown at the same positions. The page
is one HTML file that refers to no other and has no scripts. The same frames give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from animeinterp.data.atd12k import TripletFiles, read_triplet
from animeinterp.data.types import LEVELS
from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.pages import color_distance, encode_image, error_map, write_page
from animeinterp.evaluation.predictions import FindFrame, read_drawn
from animeinterp.evaluation.worst_crops import MAX_PER_TRIPLET, SIDE, Crop, ErrorMap, find_crops, squared_error
from animeinterp.frame import RGBImage
from animeinterp.io.files import check_target
from animeinterp.metrics.lpips import LpipsMetric

DEFAULT_CROPS = 24
_WEBP_QUALITY = 95  # keeps frayed outlines distinct from compression artifacts
_MAX_SIDE = 4 * SIDE  # px; larger than any crop, so crops are never downsampled
_MARK_COLOR = (255, 96, 0)  # RGB


@dataclass(frozen=True, slots=True)
class Drawing:
    """A model's crop.

    Attributes:
        error: Mean of the error map over the crop; None if it is unknown.
        image: Data URI of the drawing.
        errors: Data URI of the color map of its error.
        fault: Why there is no drawing; empty if there is one.
    """

    error: float | None = None
    image: str = ""
    errors: str = ""
    fault: str = ""

    @property
    def psnr(self) -> str:
        """PSNR of the crop as text; for an error map of squared errors."""
        return f"{-10 * np.log10(self.error):.2f}" if self.error else "∞"


@dataclass(frozen=True, slots=True)
class Row:
    """A crop on the page; images are data URIs.

    Attributes:
        name: Name of the triplet.
        level: Name of its level; empty without an annotation.
        crop: The crop.
        frames: Crops of frame 0 and frame 1.
        truth: Crop of the true frame.
        position: The whole true frame, small, with the crop marked.
        drawings: One per model.
    """

    name: str
    level: str
    crop: Crop
    frames: tuple[str, str]
    truth: str
    position: str
    drawings: tuple[Drawing, ...]


def write_gallery(
    target: Path,
    evaluation: Evaluation,
    files: Sequence[TripletFiles],
    find_frame: FindFrame,
    lpips: LpipsMetric | None = None,
    *,
    count: int = DEFAULT_CROPS,
    workers: int = 1,
    force: bool = False,
) -> None:
    """Write the page, whole or not at all.

    Args:
        target: The HTML file.
        evaluation: The scores; its first model selects the crops.
        files: Of the triplets that were evaluated.
        find_frame: Returns the file of a drawn frame. The page names frames that cannot be read.
        lpips: Ranks the crops; None ranks them by squared error, which the page states.
        count: Maximum number of crops.
        workers: Number of threads.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: The file exists and not `force`, or `count` is negative.
        FileError: The file cannot be written.
    """
    if count < 0:
        raise UsageError(f"expected a number of crops from 0 on, got {count}")
    check_target(target, force)
    errors: ErrorMap = lpips.map if lpips else squared_error
    models = evaluation.models
    scored = {row.triplet for row in evaluation.rows if models and row.model == models[0]}
    selected = [one for one in files if one.name in scored]
    crops, faults = find_crops(selected, models[0], find_frame, errors, count, workers) if selected else ([], [])
    levels = {row.triplet: LEVELS[row.level] for row in evaluation.rows if row.level is not None}
    content = {
        "title": f"Worst crops of {files[0].folder.absolute().parent.name}" if files else "Worst crops",
        "models": models,
        "triplets": len(selected),
        "per_triplet": MAX_PER_TRIPLET,
        "lpips": lpips is not None,
        "faults": faults,
        "rows": [_row(crop, models, find_frame, errors, levels.get(crop.files.name, "")) for crop in crops],
    }
    write_page(target, "gallery.html", content, force=force)


def _row(crop: Crop, models: Sequence[str], find_frame: FindFrame, errors: ErrorMap, level: str) -> Row:
    """Encode the images of a crop."""
    name, triplet = crop.files.name, read_triplet(crop.files)
    frame0, truth, frame1 = (
        _encode(crop.window.crop(frame)) for frame in (triplet.frame0, triplet.truth, triplet.frame1)
    )
    drawings = tuple(_drawing(crop, find_frame(model, name), triplet.truth, errors) for model in models)
    return Row(name, level, crop, (frame0, frame1), truth, _position(crop, triplet.truth), drawings)


def _drawing(crop: Crop, path: Path | None, truth: RGBImage, errors: ErrorMap) -> Drawing:
    """Encode a model's crop and its error."""
    try:
        frame = read_drawn(path, truth.shape)
    except (FileError, FrameError) as error:
        return Drawing(fault=str(error))
    values = errors(frame, truth)
    mean = None if values is None else float(crop.window.crop(values).mean(dtype=np.float64))
    drawn, true = crop.window.crop(frame), crop.window.crop(truth)
    return Drawing(mean, _encode(drawn), _encode(error_map(color_distance(drawn, true))))


def _position(crop: Crop, truth: RGBImage) -> str:
    """Encode the whole true frame, small, with a mark around the crop."""
    height, width = truth.shape[:2]
    scale = min(1.0, 1.5 * SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = np.ascontiguousarray(cv2.resize(truth, size, interpolation=cv2.INTER_AREA))
    box = crop.window
    first = round(box.x * scale), round(box.y * scale)
    last = round((box.x + box.width) * scale) - 1, round((box.y + box.height) * scale) - 1
    cv2.rectangle(image, first, last, _MARK_COLOR, 2)
    return _encode(np.asarray(image, np.uint8))


def _encode(image: RGBImage) -> str:
    """Encode an image as a data URI."""
    return encode_image(image, _MAX_SIDE, _WEBP_QUALITY).uri
