"""Print and write the results of `evaluate`: tables, report, gallery, and what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from animeinterp.cli.score_tables import show_tables
from animeinterp.cli.terminal import err, out
from animeinterp.errors import FileError

if TYPE_CHECKING:
    from animeinterp.cli.evaluation_setup import Setup
    from animeinterp.data.atd12k import TripletFiles
    from animeinterp.evaluation.evaluate import Evaluation
    from animeinterp.evaluation.results import Results
    from animeinterp.evaluation.scores import TripletScores
    from animeinterp.metrics.lpips import LpipsMetric
    from animeinterp.runtime.pools import Workers


_MAX_WORKERS = 8  # threads that rank crops; each holds a frame's features in memory


def write_pages(
    results: Results,
    evaluation: Evaluation,
    files: Sequence[TripletFiles],
    setup: Setup,
    lpips: LpipsMetric | None,
    crops: int | None,
    workers: Workers | None,
) -> None:
    """Write the report, and the gallery of the worst crops.

    Args:
        results: The folder of the results.
        evaluation: The scores.
        files: The files of all triplets.
        setup: What was evaluated.
        lpips: The metric that selects crops; None selects by another.
        crops: Number of crops of the gallery; 0 for no gallery, None for the usual number.
        workers: Triplets in parallel; None, or a cluster, for the usual number on this machine.

    Raises:
        FileError: A page cannot be written.
    """
    from animeinterp.evaluation.gallery import DEFAULT_CROPS, write_gallery
    from animeinterp.evaluation.predictions import find_prediction
    from animeinterp.evaluation.report.page import write_report
    from animeinterp.runtime.machine import available_cores

    def find_frame(model: str, triplet: str) -> Path | None:
        try:
            path = results.frame_path(model, triplet)
            return find_prediction(setup.predictions[model], triplet) if model in setup.predictions else path
        except FileError:
            return None

    report, gallery = results.folder / "report.html", results.folder / "gallery.html"
    count = DEFAULT_CROPS if crops is None else crops
    if not evaluation.rows or not count:
        gallery.unlink(missing_ok=True)  # a gallery of an earlier run would show other frames
    if not evaluation.rows:
        return
    if count:
        with out.status("searching the worst crops"):
            threads = workers if isinstance(workers, int) else min(available_cores(), _MAX_WORKERS)
            write_gallery(gallery, evaluation, files, find_frame, lpips, count=count, workers=threads, force=True)
    with out.status("writing the report"):
        write_report(report, evaluation, files, find_frame, gallery=gallery.name if count else None, force=True)
    out.print(f"report     {report}", markup=False)
    if count:
        out.print(f"gallery    {gallery}", markup=False)


def print_scores(evaluation: Evaluation, others: Sequence[TripletScores], peers: Path | None) -> None:
    """Print the tables of scores.

    Args:
        evaluation: The scores.
        others: Scores of other programs.
        peers: The file of `others`.
    """
    from animeinterp.evaluation.evaluate import compare_with_peers

    summaries, incomplete = compare_with_peers(evaluation, others)
    ours = [evaluation.summary(name) for name in evaluation.models]
    # Scores of an older run have the same names.
    theirs = [replace(s, model=f"{s.model} ({peers})") if s.model in evaluation.models else s for s in summaries]
    rows = [row for row in evaluation.rows if row.model == ours[0].model]
    show_tables([*ours, *theirs], rows)
    out.print(f"Means over {len(rows)} triplets; PSNR in dB, Chamfer distance in 1e-5 of the diagonal.")
    for peer, count in incomplete.items():
        out.print(f"{peer} is left out: it has {count} of these {len(rows)} triplets", markup=False)


def print_faults(evaluation: Evaluation, files: Sequence[TripletFiles]) -> None:
    """Print which triplets have no annotation or were skipped; FileError if any was skipped."""
    bare = sum(triplet.annotation is None for triplet in files)
    if bare:
        out.print(f"{bare} of {len(files)} triplets have no annotation: they are not scored by level and RoI.")
    for fault in evaluation.faults:
        err.print(f"skipped {fault.triplet}: {fault.reason}", markup=False)
    if evaluation.faults:
        raise FileError(
            f"{len(evaluation.faults)} of {len(files)} triplets were skipped for the reasons above; mend or remove them"
        )
