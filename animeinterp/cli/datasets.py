"""Commands on data sets: dataset preview, crops, build, prune, flows."""

# Typer takes the options of a command from its parameters, so a command may have more than eight.

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from animeinterp.cli.progress import report_progress, track_progress
from animeinterp.cli.terminal import Force, Ray, Vgg, choose_workers, err, out, show_table
from animeinterp.errors import FileError, UsageError

if TYPE_CHECKING:
    from animeinterp.data.films.build import BuildProgress, BuildResult

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        readable=False,
        help="Folder of training crops, of assets for synthetic scenes, of vector animations, of rigged characters, "
        "or in ATD-12K's layout.",
    ),
]
SourceKind = Annotated[
    str | None,
    typer.Option("--kind", help="crops, scenes, vector, characters or atd12k.", show_default="recognized by content"),
]
Backgrounds = Annotated[
    Path | None,
    typer.Option("--backgrounds", readable=False, help="Folder of images behind vector animations or characters."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same samples.")]
Films = Annotated[
    list[Path], typer.Argument(metavar="FILM...", readable=False, help="Video files, or folders of frames.")
]
Folder = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", readable=False, help="Folder of the triplets; made if absent.")
]
BuiltSet = Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="A data set made by `dataset build`.")]
MinSsim = Annotated[float, typer.Option("--min-ssim", help="Minimum SSIM of neighboring frames.")]
MaxSsim = Annotated[float, typer.Option("--max-ssim", help="Maximum SSIM of neighboring frames.")]
MinMotion = Annotated[
    float,
    typer.Option("--min-motion", help="Minimum mean displacement of moving pixels, frame 1 to 3, px of 960x540."),
]
MaxMotion = Annotated[float, typer.Option("--max-motion", help="Maximum mean displacement.")]
MaxUnexplained = Annotated[
    float,
    typer.Option(
        "--max-unexplained", help="Maximum fraction of frame 2's changed pixels that neither frame 1 nor 3 explains."
    ),
]
MaxSpan = Annotated[
    float, typer.Option("--max-span", help="Maximum time from the end of drawing 1 to the beginning of drawing 3, s.")
]
Spacing = Annotated[float, typer.Option("--spacing", help="Minimum time between the beginnings of triplets, s.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Maximum number of triplets of a film, spread over it.")]
DrawingStep = Annotated[int, typer.Option("--step", min=1, help="Take every step-th drawing.")]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Size of the frames, cropped to that shape.", show_default="the film's"),
]
Deinterlace = Annotated[bool, typer.Option("--deinterlace", help="Make full frames from fields first.")]
Restart = Annotated[bool, typer.Option("--force", help="Start again: the content of the data set is deleted.")]


def preview(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", readable=False, help="The sheet's file name.")],
    kind: SourceKind = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of samples.")] = 8,
    size: Annotated[int, typer.Option("--size", min=32, help="Side of a sample, px.")] = 256,
    backgrounds: Backgrounds = None,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Draw a contact sheet of training samples: the frames, their guidance and, if known, their true motion."""
    from animeinterp.data.recognition import recognize
    from animeinterp.io.images import check_rgb_target

    check_rgb_target(output, force)
    source_kind = recognize(source, kind)
    from animeinterp.data import preview as sheet
    from animeinterp.data.sources import open_samples

    with out.status("drawing the sheet"):
        samples = open_samples(source, source_kind, size, backgrounds)
        sheet.write_preview(samples, output, count, seed, force=force)
    out.print(f"sheet      {output}", markup=False)


def crops(
    source: Source,
    output: Annotated[
        Path, typer.Option("-o", "--output", readable=False, help="Folder of the crops; made if absent.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of crops; rounded up to whole files.")],
    kind: SourceKind = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Number of processes.", show_default="1")
    ] = None,
    ray: Ray = None,
    size: Annotated[int, typer.Option("--size", min=32, help="Side of a crop, px.")] = 288,
    backgrounds: Backgrounds = None,
    seed: Seed = 0,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="MODEL",
            help="Replace the true frames by drawings of this model, exactly at random times.",
            show_default="keep the true frames",
        ),
    ] = None,
    times: Annotated[
        int | None,
        typer.Option("--times", min=1, help="Number of drawings per crop, with --label.", show_default="3"),
    ] = None,
) -> None:
    """Cut training crops, and store them with their coarse flow of segment-guided matching.

    The same call continues an interrupted run; existing files are kept.
    """
    from animeinterp.cli.drawing import check_model_options
    from animeinterp.data.recognition import recognize
    from animeinterp.io.files import check_folder, make_folder

    where = choose_workers(workers, ray) or 1
    source_kind = recognize(source, kind)
    if backgrounds is not None and source_kind not in ("vector", "characters"):
        raise UsageError(
            f"--backgrounds is for vector animations and characters, but {source} holds {source_kind}; leave it out"
        )
    if times is not None and label is None:
        raise UsageError("--times is the number of drawings of a model; give the model too (--label), or leave it out")
    if label is not None:
        check_model_options(label, None, None, "cpu", "auto")
    check_folder(output)
    from animeinterp.data.crops import CROPS_PER_SHARD, write_crops
    from animeinterp.data.labels import Labels
    from animeinterp.data.sources import open_triplets

    triplets = open_triplets(source, source_kind, backgrounds)
    make_folder(output)
    files = -(-count // CROPS_PER_SHARD)
    labels = None if label is None else Labels(label) if times is None else Labels(label, times)
    shards = write_crops(output, triplets, files, workers=where, size=size, seed=seed, labels=labels)
    written = list(track_progress(shards, "cutting crops", files))
    out.print(f"{len(written)} of {files} files written, {CROPS_PER_SHARD} crops each, in {output}", markup=False)


def build(
    films: Films,
    output: Folder,
    limit: Limit = 120,
    spacing: Spacing = 1.0,
    step: DrawingStep = 1,
    min_ssim: MinSsim = 0.75,
    max_ssim: MaxSsim = 0.95,
    min_motion: MinMotion = 1.0,
    max_motion: MaxMotion = 200.0,
    max_unexplained: MaxUnexplained = 0.3,
    max_span: MaxSpan = 0.5,
    size: Size = None,
    deinterlace: Deinterlace = False,
    force: Restart = False,
) -> None:
    """Extract triplets from films, in ATD-12K's layout: three successive drawings of one shot, without held frames.

    Beside DIR are written DIR_annotations, with a proposed level and motion RoI, and DIR_sheet.html, a page to review
    the triplets and reject some, see `dataset prune`. The same call continues an interrupted run, and with more films
    extends the data set. Films that cannot be read or are damaged are listed; the exit code is then 1.
    """
    from animeinterp.data.films import build as building
    from animeinterp.data.films.select import BuildOptions

    options = BuildOptions(
        step=step,
        min_ssim=min_ssim,
        max_ssim=max_ssim,
        min_motion=min_motion,
        max_motion=max_motion,
        max_unexplained=max_unexplained,
        max_span=max_span,
        spacing=spacing,
        limit=limit,
        size=_parse_size(size),
        deinterlace=deinterlace,
    )
    with _report_films(len(films)) as report:
        built = building.build(films, output, options, force=force, report=report)
    _print_built(built, output)


def prune(
    folder: BuiltSet,
    rejected: Annotated[
        Path, typer.Argument(metavar="REJECTED", readable=False, help="The list that the contact sheet saved.")
    ],
) -> None:
    """Remove rejected triplets from a data set, with their annotations and flows. They are not built again."""
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
        int | None,
        typer.Option(
            "--workers", min=1, help="Triplets in parallel, one core each; the result is the same.", show_default="1"
        ),
    ] = None,
    ray: Ray = None,
    deformation: Annotated[
        Literal["published", "quick"],
        typer.Option(help="How the deformation of segments is estimated; quick takes less time."),
    ] = "published",
    style: Annotated[
        Literal["auto", "western", "japanese"],
        typer.Option(help="How outlines are detected; auto depends on the frame."),
    ] = "auto",
    vgg: Vgg = None,
) -> None:
    """Write the flows of segment-guided matching, NAME/guide_flo13.npy and guide_flo31.npy, in the layout of ATD-12K.

    Existing flows are kept. Triplets that cannot be read are listed; the exit code is then 1.
    """
    from animeinterp.data.atd12k import list_triplets
    from animeinterp.data.flow_settings import FlowSettings, check_settings
    from animeinterp.data.layout import flows_folder
    from animeinterp.io.files import check_source

    where = choose_workers(workers, ray) or 1
    files, target = list_triplets(folder), output or flows_folder(folder)
    if vgg:
        check_source(vgg, "VGG-19 weights")
    check_settings(target, FlowSettings(deformation, style, vgg))
    from animeinterp.data.sgm_flows import write_flows

    pending = write_flows(files, target, FlowSettings(deformation, style, vgg), workers=where)
    results = list(track_progress(pending, "matching segments", len(files)))
    written, faults = sum(result.written for result in results), [result for result in results if result.fault]
    existing = len(results) - written - len(faults)
    out.print(f"{written} written, {existing} there before, in {target}", markup=False)
    for result in faults:
        err.print(f"skipped {result.triplet}: {result.fault}", markup=False)
    if faults:
        raise FileError(f"{len(faults)} of {len(files)} triplets cannot be read; mend them and run this again")


def _parse_size(size: str | None) -> tuple[int, int] | None:
    """Parse a size such as 960x540."""
    if size is None:
        return None
    width, cross, height = size.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"expected a size such as 960x540, got {size!r}")
    return int(width), int(height)


@contextmanager
def _report_films(count: int) -> Iterator[Callable[[BuildProgress], object]]:
    """Yield the function that shows the progress within each film."""
    with report_progress("reading", 1.0, percent=True) as update:
        film = -1

        def report(step: BuildProgress) -> None:
            nonlocal film
            label = f"{step.film + 1}/{count} {step.label}, {step.triplets} triplets"
            update(step.fraction, label, restart=step.film != film)
            film = step.film

        yield report


def _print_built(built: BuildResult, folder: Path) -> None:
    """Print a line for each film, why drawings were left out, and the errors."""
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
