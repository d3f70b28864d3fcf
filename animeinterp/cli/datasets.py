"""Verbs on data sets: dataset preview, crops, build, prune, flows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from animeinterp.cli.terminal import Force, LogLines, Vgg, err, out, progress, show_table
from animeinterp.errors import FileError, UsageError

if TYPE_CHECKING:
    from animeinterp.data.films.build import BuildProgress, BuildResult

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
    typer.Option("--kind", help="crops, scenes, vector or atd12k.", show_default="recognized by content"),
]
Backgrounds = Annotated[
    Path | None,
    typer.Option("--backgrounds", readable=False, help="Folder of pictures to lay vector animations over."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same samples.")]
Films = Annotated[
    list[Path], typer.Argument(metavar="FILM...", readable=False, help="Video files, or folders of frames.")
]
Folder = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", readable=False, help="Folder of the triplets; made if absent.")
]
BuiltSet = Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="A data set of `dataset build`.")]
MinSsim = Annotated[float, typer.Option("--min-ssim", help="Neighboring frames less alike are left out.")]
MaxSsim = Annotated[float, typer.Option("--max-ssim", help="Neighboring frames more alike are left out.")]
MinMotion = Annotated[
    float, typer.Option("--min-motion", help="Mean displacement of what moves, frame 1 to 3, px of 960x540.")
]
MaxMotion = Annotated[float, typer.Option("--max-motion", help="The same, at most.")]
MaxUnexplained = Annotated[
    float,
    typer.Option("--max-unexplained", help="Share of frame 2's changed pixels that neither frame 1 nor 3 explains."),
]
MaxSpan = Annotated[
    float, typer.Option("--max-span", help="s from the end of drawing 1 to the beginning of drawing 3.")
]
Spacing = Annotated[float, typer.Option("--spacing", help="s, at least, between the beginnings of triplets.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Triplets of one film, spread over it.")]
EverySo = Annotated[int, typer.Option("--step", min=1, help="1 takes drawings in a row, 2 every second, …")]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Size of the frames, cut to that shape.", show_default="the film's"),
]
Deinterlace = Annotated[bool, typer.Option("--deinterlace", help="Make whole frames of fields first.")]
Anew = Annotated[bool, typer.Option("--force", help="Begin anew: what the data set holds is deleted.")]


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
    import numpy as np

    from animeinterp.data.recognition import recognize
    from animeinterp.io.images import check_image_target

    check_image_target(output, np.zeros((1, 1, 3), np.uint8), force)
    found = recognize(source, kind)
    from animeinterp.data import preview as sheet
    from animeinterp.data.sources import open_samples

    with out.status("drawing the sheet"):
        samples = open_samples(source, found, size, backgrounds)
        sheet.write_preview(samples, output, count, seed, force=force)
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
    from animeinterp.data.recognition import recognize
    from animeinterp.io.files import check_folder, make_folder

    found = recognize(source, kind)
    if backgrounds is not None and found != "vector":
        raise UsageError(f"--backgrounds goes with vector animations, but {source} holds {found}; leave it out")
    check_folder(output)
    from animeinterp.data.crops import CROPS_PER_SHARD, write_crops
    from animeinterp.data.sources import open_triplets

    triplets = open_triplets(source, found, backgrounds)
    make_folder(output)
    files = -(-count // CROPS_PER_SHARD)
    written = list(
        progress(write_crops(output, triplets, files, workers=workers, size=size, seed=seed), "cutting crops", files)
    )
    out.print(f"{len(written)} of {files} files written, {CROPS_PER_SHARD} crops each, in {output}", markup=False)


def build(
    films: Films,
    output: Folder,
    limit: Limit = 120,
    spacing: Spacing = 1.0,
    step: EverySo = 1,
    min_ssim: MinSsim = 0.75,
    max_ssim: MaxSsim = 0.95,
    min_motion: MinMotion = 1.0,
    max_motion: MaxMotion = 200.0,
    max_unexplained: MaxUnexplained = 0.3,
    max_span: MaxSpan = 0.5,
    size: Size = None,
    deinterlace: Deinterlace = False,
    force: Anew = False,
) -> None:
    """Take triplets out of films, in ATD-12K's layout: three drawings in a row of one shot, held frames left out.

    Beside DIR lie DIR_annotations, with level and motion RoI as proposed, and DIR_sheet.html, a page to look through
    the triplets and reject some, see `dataset prune`. The same call goes on with a run that was broken off, and with
    more films adds to the set. Films that cannot be read or are damaged are listed; the exit code is then 1.
    """
    from animeinterp.data.films import build as building
    from animeinterp.data.films.select import BuildOptions

    options = BuildOptions(
        *(step, min_ssim, max_ssim, min_motion, max_motion, max_unexplained, max_span, spacing, limit),
        *(_parsed(size), deinterlace),
    )
    with _shown(len(films)) as report:
        built = building.build(films, output, options, force=force, report=report)
    _tell(built, output)


def prune(
    folder: BuiltSet,
    rejected: Annotated[
        Path, typer.Argument(metavar="REJECTED", readable=False, help="The list that the contact sheet saved.")
    ],
) -> None:
    """Take rejected triplets out of a data set, with their annotations and flows. They do not come back."""
    from animeinterp.data.films import build as building

    count = building.prune(folder, rejected)
    out.print(f"{count} triplets taken out of {folder}", markup=False)


def flows(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", readable=False, help="Folder of NAME/frame1.png, frame2.png, frame3.png.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", readable=False, help="Folder.", show_default="DIR_pre_calc_sgm_flows"),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Triplets at once, one core each; the result is the same.")
    ] = 1,
    deformation: Annotated[
        Literal["published", "quick"], typer.Option(help="How deformation of segments is found; quick takes less time.")
    ] = "published",
    style: Annotated[
        Literal["auto", "western", "japanese"], typer.Option(help="How outlines are found; auto looks at the frame.")
    ] = "auto",
    vgg: Vgg = None,
) -> None:
    """Write the flows of segment-guided matching, NAME/guide_flo13.npy and guide_flo31.npy, as ATD-12K ships them.

    Flows that are there stay. Triplets that cannot be read are listed; the exit code is then 1.
    """
    from animeinterp.data.atd12k import list_triplets
    from animeinterp.data.flow_settings import FlowSettings, check_settings
    from animeinterp.data.layout import flows_folder
    from animeinterp.io.files import check_source

    files, target = list_triplets(folder), output or flows_folder(folder)
    if vgg:
        check_source(vgg, "VGG-19 weights")
    check_settings(target, FlowSettings(deformation, style, vgg))
    from animeinterp.data.sgm_flows import write_flows

    done = write_flows(files, target, FlowSettings(deformation, style, vgg), workers=workers)
    results = list(progress(done, "matching segments", len(files)))
    written, faults = sum(result.written for result in results), [result for result in results if result.fault]
    kept = len(results) - written - len(faults)
    out.print(f"{written} written, {kept} there before, in {target}", markup=False)
    for result in faults:
        err.print(f"skipped {result.triplet}: {result.fault}", markup=False)
    if faults:
        raise FileError(f"{len(faults)} of {len(files)} triplets cannot be read; mend them and run this again")


def _parsed(size: str | None) -> tuple[int, int] | None:
    if size is None:
        return None
    width, cross, height = size.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"expected a size such as 960x540, got {size!r}")
    return int(width), int(height)


@contextmanager
def _shown(films: int) -> Iterator[Callable[[BuildProgress], object] | None]:
    """A bar for the film that is read, or lines where there is no terminal."""
    if not err.is_terminal:
        with LogLines("reading", 1.0, share=True) as log:
            read = -1

            def tell(step: BuildProgress) -> None:
                nonlocal read
                text = f"{step.film + 1}/{films} {step.label}, {step.triplets} triplets"
                log.update(step.fraction, text, anew=step.film != read)
                read = step.film

            yield tell
        return
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True) as bar:
        task, film = bar.add_task("reading", total=1.0), -1

        def report(step: BuildProgress) -> None:
            nonlocal film
            if step.film != film:
                bar.reset(task)
                film = step.film
            text = f"{step.film + 1}/{films} {step.label}: {step.triplets} triplets"
            bar.update(task, completed=step.fraction, description=text)

        yield report


def _tell(built: BuildResult, folder: Path) -> None:
    """A line for each film, what was left out, and what went wrong."""
    if built.films:
        table = Table(box=None, padding=(0, 1))
        table.add_column("film", overflow="fold")
        for heading in ("triplets", "drawings", "shots"):
            table.add_column(heading, justify="right")
        table.add_column("left out", overflow="fold")
        for label, film in built.films.items():
            reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(film.left_out).most_common())
            numbers = (str(len(film.triplets)), str(film.drawings), str(film.shots))
            table.add_row(label, *numbers, "done before" if label in built.unchanged else reasons)
        show_table(table)
    out.print(f"triplets   {folder}", markup=False)
    out.print(f"sheet      {', '.join(map(str, built.pages))}", markup=False)
    for path, reason in built.faults:
        err.print(f"left out {path}: {reason}", markup=False)
    damaged = {label: film.damaged for label, film in built.films.items() if film.damaged}
    for label, count in damaged.items():
        err.print(f"damaged {label}: {count} frames could not be decoded, triplets are of the others", markup=False)
    if built.faults or damaged:
        raise FileError(f"{len(built.faults)} films cannot be read, {len(damaged)} are damaged; see above")
