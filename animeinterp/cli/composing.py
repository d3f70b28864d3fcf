"""The command that composes a data set with exact ground truth: dataset linear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from animeinterp.cli.progress import track_progress
from animeinterp.cli.terminal import out


def linear(
    art: Annotated[
        Path,
        typer.Argument(metavar="ART", readable=False, help="Folder of art that benchmarks/linear_art.py fetched."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", readable=False, help="Folder of the data set; made if absent."),
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed and art give the same data set.")] = 0,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of shots.")] = 24,
) -> None:
    """Compose shots whose true middle frame is exact, in ATD-12K's layout, 960x540, for evaluation.

    The background and each figure move at constant speed, rotate and grow. Beside DIR are written DIR_annotations,
    DIR_manifest.json, and DIR_masks with the number of frames in which each pixel's point is visible and with motion
    borders. The same call continues an interrupted run.
    """
    from animeinterp.data.linear.dataset import write_linear

    shots = list(track_progress(write_linear(output, art, count, seed), "composing", count))
    out.print(f"{len(shots)} shots in {output}", markup=False)
