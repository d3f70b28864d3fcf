"""Write the report: tables, bars by level, two models against each other, the worst and the best drawings.

The page is one file that refers to no other. Images are WebP in data URIs, at most 960 px long, so a case takes about
0.2 MB. Scripts only move the comparison slider and the points of the scatter plots. The same evaluation and the same
images give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from animeinterp.data.atd12k import TripletFiles
from animeinterp.data.types import LEVELS
from animeinterp.errors import UsageError
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.pages import encode_image, write_page
from animeinterp.evaluation.predictions import FindFrame
from animeinterp.evaluation.report import tables
from animeinterp.evaluation.report.cases import Case, select_cases
from animeinterp.evaluation.report.scatter import Scatter, plot_models
from animeinterp.flow import flow_to_color
from animeinterp.io.files import check_target


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page, with the parts it has, in their order on the page.

    Attributes:
        id: Target of links.
        title: Heading.
        note: How to read it.
        table: Means.
        bars: Means as bars.
        timing: Means at the best time.
        scatter: Two models against each other.
        cases: Headings and triplets.
    """

    id: str
    title: str
    note: str = ""
    table: tables.Table | None = None
    bars: Sequence[tables.BarPanel] = ()
    timing: tables.TimingTable | None = None
    scatter: Scatter | None = None
    cases: Sequence[tuple[str, Sequence[Case]]] = ()


def write_report(
    target: Path,
    evaluation: Evaluation,
    files: Sequence[TripletFiles],
    find_frame: FindFrame,
    *,
    cases: int = 4,
    gallery: str | None = None,
    force: bool = False,
) -> None:
    """Write the page, whole or not at all.

    Args:
        target: The HTML file.
        evaluation: The scores.
        files: Of the triplets that were evaluated.
        find_frame: Returns the file of a drawn frame. The page names frames that cannot be read.
        cases: Maximum number of the worst and of the best triplets of each model, by PSNR of the whole frame.
        gallery: Name of a page of worst crops in the same folder, to link to.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: The file exists and not `force`, or `cases` is negative.
        FileError: The file cannot be written.
    """
    if cases < 0:
        raise UsageError(f"expected a number of cases from 0 on, got {cases}; 0 leaves them out")
    check_target(target, force)
    by_model = select_cases(evaluation, files, find_frame, cases)
    case_sections = [Section(f"cases-{n}", f"Cases of {m}", cases=by_model[m]) for n, m in enumerate(by_model)]
    content = {
        "title": f"Evaluation of {files[0].folder.absolute().parent.name}" if files else "Evaluation",
        "facts": _facts(evaluation),
        "faults": evaluation.faults,
        "sections": [*_score_sections(evaluation), *case_sections],
        "gallery": gallery,
        "wheel": _color_wheel(),
    }
    write_page(target, "report/report.html", content, force=force)


def _facts(evaluation: Evaluation) -> dict[str, object]:
    """Count the triplets by level, and note the time and the missing triplets of each model."""
    levels = {row.triplet: row.level for row in evaluation.rows}
    names = dict(enumerate(LEVELS)) | {None: "without annotation"}
    counts = [(sum(one == level for one in levels.values()), name) for level, name in names.items()]
    models = []
    for summary in map(evaluation.summary, evaluation.models):
        notes = [] if summary.seconds is None else [f"{summary.seconds:.2f} CPU s a frame"]
        if summary.count < len(levels):
            notes.append(f"only {summary.count} of {len(levels)} triplets, so its means are not comparable")
        models.append((summary.model, notes))
    return {"count": len(levels), "levels": [f"{n} {name}" for n, name in counts if n], "models": models}


def _score_sections(evaluation: Evaluation) -> Iterator[Section]:
    """Yield the sections without images."""
    if not evaluation.rows:
        return
    models = evaluation.models
    summaries = [evaluation.summary(model) for model in models]
    whole, levels = tables.group_all(evaluation, summaries), tables.group_by_level(evaluation, summaries)
    timing = tables.tabulate_timings(summaries)
    note = "↑ higher is better, ↓ lower is better."
    if len(models) > 1:
        note += " The best mean of each column is bold."
    if any(summary.best for summary in summaries):
        note += " Best t is the time nearest the true frame, selected with it; everything else is at t = 0.5."
    bars = tables.lay_out_bars(models, [replace(whole[0], name="all"), *levels])
    yield Section("means", "Means", note, tables.tabulate_means("Means", models, whole), () if levels else bars)
    if levels:
        yield Section("levels", "By level", table=tables.tabulate_means("Means by level", models, levels), bars=bars)
    types = tables.group_by_word(evaluation, lambda row: row.motion_types, [s.motion_types for s in summaries])
    behaviors = tables.group_by_word(evaluation, lambda row: row.behaviors, [s.behaviors for s in summaries])
    if types:
        yield Section("motion", "By motion type", table=tables.tabulate_means("Means by motion type", models, types))
    if behaviors:
        yield Section("behavior", "By behavior", table=tables.tabulate_means("Means by behavior", models, behaviors))
    if timing:
        note = "The time at which a model is nearest the true frame is selected with it, so this is not a score."
        yield Section("timing", "At the best time", note, timing=timing)
    if len(models) > 1:
        yield Section("scatter", "Triplet by triplet", scatter=plot_models(evaluation))


def _color_wheel() -> str:
    """Draw the key to the colors of flow: each point of the disc is the flow from its center to that point."""
    axis = np.linspace(-1, 1, 64)
    return encode_image(flow_to_color(np.stack(np.meshgrid(axis, axis)), 1), 64).uri
