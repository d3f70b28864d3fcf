"""The verb that composes a set with exact truth: dataset linear."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from animeinterp.cli.terminal import out, progress


def linear(
    art: Annotated[
        Path,
        typer.Argument(metavar="ART", readable=False, help="Folder of art that benchmarks/linear_art.py fetched."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", readable=False, help="Folder of the set; made if absent.")
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed and art give the same set.")] = 0,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many shots.")] = 24,
) -> None:
    """Compose shots whose true middle frame is exact, in ATD-12K's layout, 960x540, for evaluation.

    Background and figures move with constant speed, turn and grow, each in its own way. Beside DIR lie DIR_annotations,
    DIR_masks, which say by how many frames each pixel's point is seen and where motion borders are, and
    DIR_manifest.json. The same call goes on with a run that was broken off.
    """
    from animeinterp.data.linear.dataset import write_linear

    shots = list(progress(write_linear(output, art, count, seed), "composing", count))
    out.print(f"{len(shots)} shots in {output}", markup=False)
