"""A page of the crops of a data set that look worst, so that looking at a model takes a minute.

Each row shows one crop: both frames, the truth, where the crop lies, and of each model its drawing and the error. The
first model chooses the crops, see `animeinterp.evaluation.worst_crops`; the others are shown at the same places. One
HTML file without references to any other and without scripts. The same frames give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined, Template

from animeinterp.data.atd12k import TripletFiles, read_triplet
from animeinterp.data.difficulty import LEVELS
from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.predictions import read_drawn
from animeinterp.evaluation.report_markup import FULL_ERROR, error_of, heat, plain_text, ramp, uri
from animeinterp.evaluation.worst_crops import PER_TRIPLET, SIDE, Crop, Drawn, ErrorMap, find_crops, squared_error
from animeinterp.frame import RGBImage
from animeinterp.io.files import check_target, write_text
from animeinterp.metrics.lpips import LpipsMetric

CROPS = 24  # that are shown by default
_QUALITY = 95  # of WebP: frayed outlines are to be told from compression
_LONG = 4 * SIDE  # px, longest side of a crop on the page: never made smaller
_MARK = (255, 96, 0)  # RGB, of the frame around the crop in the whole picture


def write_gallery(
    target: Path,
    evaluation: Evaluation,
    files: Sequence[TripletFiles],
    drawn: Drawn,
    lpips: LpipsMetric | None = None,
    *,
    count: int = CROPS,
    workers: int = 1,
    force: bool = False,
) -> None:
    """Write the page to `target`, an HTML file. It appears whole or not at all.

    Args:
        target: the file.
        evaluation: what was scored; its first model chooses the crops.
        files: of the triplets that were evaluated.
        drawn: model and triplet → the picture that was drawn and scored, None where it was not kept; unreadable
            files are listed on the page.
        lpips: what crops are ranked by; None ranks them by squared error, and the page says so.
        count: how many crops are shown at most.
        workers: triplets that are looked at at once.
        force: overwrite the file.

    Raises:
        UsageError: if the file exists and not `force`, or for a count below 0.
        FileError: if it cannot be written.
    """
    if count < 0:
        raise UsageError(f"expected a number of crops from 0 on, got {count}")
    check_target(target, force)
    error_map: ErrorMap = lpips.map if lpips else squared_error
    models = evaluation.models
    scored = {row.triplet for row in evaluation.rows if models and row.model == models[0]}
    chosen = [one for one in files if one.name in scored]
    crops, faults = find_crops(chosen, models[0], drawn, error_map, count, workers) if chosen else ([], [])
    levels = {row.triplet: LEVELS[row.level] for row in evaluation.rows if row.level is not None}
    page = _template().render(
        title=plain_text(f"Worst crops of {files[0].folder.absolute().parent.name}" if files else "Worst crops"),
        models=[plain_text(model) for model in models],
        triplets=len(chosen),
        per_triplet=PER_TRIPLET,
        lpips=lpips is not None,
        faults=[(plain_text(fault.triplet), plain_text(fault.reason)) for fault in faults],
        full_error=FULL_ERROR,
        ramp=ramp(),
        crops=[_shown(crop, models, drawn, error_map, levels.get(crop.files.name, "")) for crop in crops],
    )
    write_text(target, page, force=force)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A model's crop. error: mean of the error map over it. picture, heat: data URIs. fault: why there are none."""

    error: float | None = None
    picture: str = ""
    heat: str = ""
    fault: str = ""

    @property
    def psnr(self) -> str:
        """Of the crop, where the error map is that of squared errors."""
        return f"{-10 * np.log10(self.error):.2f}" if self.error else "∞"


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the page shows of a crop; pictures are data URIs."""

    name: str
    level: str
    crop: Crop
    frames: tuple[str, str]
    truth: str
    where: str
    drawings: tuple[_Drawing, ...]


def _shown(crop: Crop, models: Sequence[str], drawn: Drawn, error_map: ErrorMap, level: str) -> _Shown:
    triplet = read_triplet(crop.files)
    frame0, truth, frame1 = (
        uri(crop.window.of(frame), _LONG, _QUALITY) for frame in (triplet.frame0, triplet.truth, triplet.frame1)
    )
    drawings = (_drawing(crop, drawn(model, crop.files.name), triplet.truth, error_map) for model in models)
    where = _where(crop, triplet.truth)
    return _Shown(plain_text(crop.files.name), level, crop, (frame0, frame1), truth, where, tuple(drawings))


def _drawing(crop: Crop, path: Path | None, truth: RGBImage, error_map: ErrorMap) -> _Drawing:
    try:
        frame = read_drawn(path, truth.shape)
    except (FileError, FrameError) as error:
        return _Drawing(fault=plain_text(str(error)))
    errors = error_map(frame, truth)
    mean = None if errors is None else float(crop.window.of(errors).mean(dtype=np.float64))
    shown, true = crop.window.of(frame), crop.window.of(truth)
    return _Drawing(mean, uri(shown, _LONG, _QUALITY), uri(heat(error_of(shown, true) / FULL_ERROR), _LONG, _QUALITY))


def _where(crop: Crop, truth: RGBImage) -> str:
    """The whole true frame, small, with a mark around the crop."""
    height, width = truth.shape[:2]
    scale = min(1.0, 1.5 * SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = np.ascontiguousarray(cv2.resize(truth, size, interpolation=cv2.INTER_AREA))
    box = crop.window
    first = round(box.x * scale), round(box.y * scale)
    last = round((box.x + box.width) * scale) - 1, round((box.y + box.height) * scale) - 1
    cv2.rectangle(picture, first, last, _MARK, 2)
    return uri(np.asarray(picture, np.uint8), _LONG, _QUALITY)


def _template() -> Template:
    text = resources.files("animeinterp.evaluation").joinpath("gallery.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(text)
