"""The worst and the best drawings of each model for the report, with their images.

This module prepares data only; `templates/report/cases.html` holds the markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from animeinterp.data.atd12k import TripletFiles, read_triplet
from animeinterp.data.types import LEVELS
from animeinterp.errors import FileError, FrameError
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.pages import PageImage, color_distance, encode_image, error_map
from animeinterp.evaluation.predictions import FindFrame, read_drawn
from animeinterp.evaluation.report.measures import LPIPS, PSNR, SSIM, TIMED_MEASURES, Measure, known_measures
from animeinterp.evaluation.scores import TripletScores
from animeinterp.flow import dis_flow, flow_to_color
from animeinterp.frame import RGBImage
from animeinterp.metrics.scores import Scores
from animeinterp.runtime.threads import single_threaded

_LARGE, _SMALL = 960, 480  # px, longest side of the images that are compared, and of the others


@dataclass(frozen=True, slots=True)
class Inputs:
    """The images of a triplet.

    Attributes:
        frames: Frame 0, the true frame, frame 1.
        flow: DIS flow from frame 0 to frame 1, in colors.
        flow_scale: Length of a flow, px, that gets the full color.
        truth: The true frame, large.
    """

    frames: tuple[PageImage, PageImage, PageImage]
    flow: PageImage
    flow_scale: int
    truth: PageImage


@dataclass(frozen=True, slots=True)
class Sheet:
    """The images of one triplet and model.

    Attributes:
        inputs: None if the triplet cannot be read.
        fault: Why there is no drawing; empty if there is one.
        drawing: The drawn frame, large.
        error: Color map of its error.
        mean_error: Mean RGB distance, 0 to 441.
    """

    inputs: Inputs | None
    fault: str = ""
    drawing: PageImage | None = None
    error: PageImage | None = None
    mean_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """One triplet of one model.

    Attributes:
        name: Of the triplet.
        model: Name of the model.
        level: Name of its level; empty without an annotation.
        scores: Leading scores, as text.
        facts: Name and text of everything else that is known.
        sheet: Its images.
    """

    name: str
    model: str
    level: str
    scores: Sequence[str]
    facts: Sequence[tuple[str, str]]
    sheet: Sheet


def select_cases(
    evaluation: Evaluation, files: Sequence[TripletFiles], find_frame: FindFrame, count: int
) -> dict[str, list[tuple[str, list[Case]]]]:
    """Select the `count` worst and best triplets of each model by PSNR of the whole frame, none of them twice.

    Args:
        evaluation: The evaluation.
        files: Of its triplets. Each is read once, and released before the next one is read.
        find_frame: Returns the file of a drawn frame.
        count: Maximum number of worst and of best triplets; 0 selects none.

    Returns:
        By model, the headings `Worst` and `Best` with their cases.
    """
    selected = {model: _worst_and_best(evaluation, model, count) for model in evaluation.models if count}
    models: dict[str, list[str]] = {}
    for rows in (rows for ends in selected.values() for rows in ends):
        for row in rows:
            models.setdefault(row.triplet, []).append(row.model)
    by_name = {one.name: one for one in files}
    sheets = {
        (model, triplet): sheet
        for triplet, names in models.items()
        for model, sheet in _sheets(triplet, by_name.get(triplet), names, find_frame)
    }
    whole = {(row.model, row.triplet): row.whole for row in evaluation.rows}
    cases = {}
    for model, ends in selected.items():
        others = [other for other in evaluation.models if other != model]
        cases[model] = [
            (title, [_case(row, sheets[model, row.triplet], others, whole) for row in rows])
            for title, rows in zip(("Worst", "Best"), ends, strict=True)
            if rows
        ]
    return cases


def _worst_and_best(evaluation: Evaluation, model: str, count: int) -> tuple[list[TripletScores], list[TripletScores]]:
    """Return the worst triplets of a model, worst first, and the best, best first."""
    rows = sorted((row for row in evaluation.rows if row.model == model), key=lambda r: (r.whole.psnr, r.triplet))
    worst = min(count, (len(rows) + 1) // 2)
    best = min(count, len(rows) - worst)
    return rows[:worst], rows[: -best - 1 : -1]


def _case(row: TripletScores, sheet: Sheet, others: Sequence[str], whole: Mapping[tuple[str, str], Scores]) -> Case:
    """Collect what is known of a triplet, beside the leading scores of the other models."""
    leading = known_measures([row.whole], (LPIPS, PSNR, SSIM))
    facts = [(m.name, _text(m, row.whole)) for m in known_measures([row.whole]) if m not in leading]
    facts += [(f"RoI {m.name}", _text(m, row.roi)) for m in known_measures([row.roi], leading)]
    if row.best:
        texts = (f"{m.name} {_text(m, row.best.scores)}" for m in known_measures([row.best.scores], TIMED_MEASURES))
        facts.append((f"at best t, {row.best.t:.2f}", ", ".join(texts)))
    for other in others:
        scores = whole.get((other, row.triplet))
        facts += [(f"{m.name} of {other}", _text(m, scores)) for m in known_measures([scores], leading[:-1])]
    words = (("motion", row.motion_types), ("behavior", row.behaviors))
    facts += [(name, ", ".join(some)) for name, some in words if some]
    level = "" if row.level is None else LEVELS[row.level]
    return Case(row.triplet, row.model, level, [f"{m.name} {_text(m, row.whole)}" for m in leading], facts, sheet)


def _text(measure: Measure, scores: Scores | None) -> str:
    """Format a known value with its unit."""
    return measure.text(scores) + measure.unit


def _sheets(
    name: str, files: TripletFiles | None, models: Sequence[str], find_frame: FindFrame
) -> Iterator[tuple[str, Sheet]]:
    """Yield the images of a triplet for each of the models."""
    try:
        if files is None:
            raise FileError(f"the frames of {name} are not among those given")
        frame0, truth, frame1, *_ = read_triplet(files)
    except (FileError, FrameError) as error:
        yield from ((model, Sheet(None, str(error))) for model in models)
        return
    with single_threaded():
        flow = dis_flow(frame0, frame1)
    scale = max(1, round(float(np.percentile(np.hypot(*flow), 99))))
    small0, small, small1 = (encode_image(frame, _SMALL) for frame in (frame0, truth, frame1))
    colors = encode_image(flow_to_color(flow, scale), _SMALL)
    inputs = Inputs((small0, small, small1), colors, scale, encode_image(truth, _LARGE))
    for model in models:
        try:
            frame = read_drawn(find_frame(model, name), truth.shape)
        except (FileError, FrameError) as error:
            yield model, Sheet(inputs, str(error))
        else:
            yield model, _compared(inputs, frame, truth)


def _compared(inputs: Inputs, frame: RGBImage, truth: RGBImage) -> Sheet:
    """Compare a drawn frame with the true one."""
    error = color_distance(frame, truth)
    images = encode_image(frame, _LARGE), encode_image(error_map(error), _SMALL)
    return Sheet(inputs, "", *images, float(error.mean()))
