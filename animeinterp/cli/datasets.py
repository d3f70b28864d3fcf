"""Verbs on training data: dataset preview, dataset crops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from animeinterp.cli.terminal import Force, out, progress
from animeinterp.errors import UsageError

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        readable=False,
        help="Folder of training crops, of assets for synthetic scenes, of vector animations, or in ATD-12K's layout.",
    ),
]
SourceKind = Annotated[
    str | None,
    typer.Option("--kind", help="crops, scenes, vector or atd12k.", show_default="recognised by content"),
]
Backgrounds = Annotated[
    Path | None,
    typer.Option("--backgrounds", readable=False, help="Folder of pictures to lay vector animations over."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same samples.")]


def preview(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", readable=False, help="The sheet's file name.")],
    kind: SourceKind = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many samples.")] = 8,
    size: Annotated[int, typer.Option("--size", min=32, help="Side of a sample, px.")] = 256,
    backgrounds: Backgrounds = None,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Draw a contact sheet of training samples: the frames, their guidance and, where known, their true motion."""
    from animeinterp.data import preview as sheet
    from animeinterp.data.sources import open_samples, recognize

    with out.status("drawing the sheet"):
        samples = open_samples(source, recognize(source, kind), size, backgrounds)
        sheet.preview(samples, output, count, seed, force=force)
    out.print(f"sheet      {output}", markup=False)


def crops(
    source: Source,
    output: Annotated[
        Path, typer.Option("-o", "--output", readable=False, help="Folder of the store; made if absent.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many crops; rounded up to whole files.")],
    kind: SourceKind = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
    size: Annotated[int, typer.Option("--size", min=32, help="Side of a crop, px.")] = 288,
    backgrounds: Backgrounds = None,
    seed: Seed = 0,
) -> None:
    """Cut training crops, with what segment-guided matching says of them, into a store of files.

    A store that is broken off goes on where it stopped: files that are there stay.
    """
    from animeinterp.data.crops import SHARD, write_crops
    from animeinterp.data.sources import open_triplets, recognize
    from animeinterp.picture import make_folder

    found = recognize(source, kind)
    triplets = open_triplets(source, found, backgrounds)
    if backgrounds is not None and found != "vector":
        raise UsageError(f"--backgrounds goes with vector animations, but {source} holds {found}; leave it out")
    make_folder(output)
    files = -(-count // SHARD)
    written = list(
        progress(write_crops(output, triplets, files, workers=workers, size=size, seed=seed), "cutting crops", files)
    )
    out.print(f"{len(written)} of {files} files written, {SHARD} crops each, in {output}", markup=False)
