"""The command that draws the in-betweens of a folder of keys: inbetween."""

# Typer takes the options of a command from its parameters, so a command may have more than eight.

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from animeinterp.cli.drawing import choose_model
from animeinterp.cli.progress import report_progress
from animeinterp.cli.terminal import DEFAULTS, Force, MaxPixels, Model, Style, Vgg, Weights, err, out
from animeinterp.cli.video import Devices, Workers

Keys = Annotated[
    list[Path],
    typer.Argument(metavar="KEYS...", readable=False, help="A folder of key drawings, or their files in order."),
]


def inbetween(
    keys: Keys,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", readable=False, help="Folder for all drawings; made if absent."),
    ],
    count: Annotated[
        int | None,
        typer.Option(
            "-n", "--count", min=0, help="In-betweens of each pair.", show_default="what numbers leave out, or 1"
        ),
    ] = None,
    timing: Annotated[
        str,
        typer.Option("--timing", help="linear, ease-in, ease-out or ease-in-out; or times, such as 1/8,1/2,7/8."),
    ] = "linear",
    name: Annotated[
        str | None,
        typer.Option("--name", help="Number all drawings anew: key_%04d.png, or {layer}_%04d.png for several layers."),
    ] = None,
    model: Model = "default",
    weights: Weights = None,
    vgg: Vgg = None,
    device: Devices = "auto",
    style: Style = "auto",
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    workers: Workers = None,
    force: Force = False,
) -> None:
    """Draw the in-betweens of every two key drawings that follow each other.

    Layers that lie in one folder (A0001.png, B0001.png) are told apart by their names. Keys are copied unchanged and
    keep their names; in-betweens take the free numbers between: A0001 and A0005 leave room for three.
    """
    from animeinterp.keys.job import KeysProgress, draw_keys
    from animeinterp.keys.settings import KeySettings

    choice = choose_model(model, weights, vgg, device, style, max_pixels)
    settings = KeySettings(count=count, timing=timing, name=name, max_pixels=max_pixels, force=force)
    started = time.perf_counter()
    with report_progress("in-betweens", None) as update:

        def report(progress: KeysProgress) -> None:
            update(progress.drawn, total=progress.total)

        drawn = draw_keys(keys, output, settings, model=choice, workers=workers, report=report)
    for note in drawn.notes:
        err.print(f"note: {note}", markup=False)
    for layer in drawn.layers:
        number = sum(len(pair.inbetweens) for pair in layer.pairs)
        out.print(f"{layer.name}: {len(layer.keys)} keys, {number} in-betweens", markup=False)
    seconds = time.perf_counter() - started
    out.print(f"{drawn.drawn} in-betweens in {seconds:.1f} s, in {output}", markup=False)
