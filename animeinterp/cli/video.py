"""The command that makes films smoother: video."""

# Typer takes the options of a command from its parameters, so a command may have more than eight.

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from animeinterp.cli.drawing import build_interpolator, check_model_options
from animeinterp.cli.terminal import DEFAULTS, Device, Force, MaxPixels, Model, Style, Vgg, Weights, err, out
from animeinterp.cli.video_progress import Report, report_video
from animeinterp.errors import AnimeInterpError, UsageError

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator
    from animeinterp.video.options import VideoOptions
    from animeinterp.video.progress import Progress

Source = Annotated[
    Path, typer.Argument(metavar="IN", readable=False, help="A video file, or a folder of numbered frames.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        readable=False,
        help="mp4, mkv, mov, webm, gif, webp, apng, or a folder (a name without suffix).",
        show_default="IN_smooth",
    ),
]
Fps = Annotated[str | None, typer.Option("--fps", help="Frames per second: 60, 24000/1001, 23.976.")]
Times = Annotated[int | None, typer.Option("--times", help="Multiple of the source's frame rate.", show_default="2")]
Slow = Annotated[str | None, typer.Option("--slow", help="Slow motion: this many times longer.")]
HeldDrawings = Annotated[
    Literal["auto", "keep", "off"],
    typer.Option(
        "--cadence",
        help="Holds: auto turns them into motion; keep leaves long ones; off treats every frame as a drawing.",
    ),
]
MaxHold = Annotated[float, typer.Option("--max-hold", min=0, help="Duration above which a hold is long, s.")]
Cuts = Annotated[
    str | None,
    typer.Option("--cuts", help="First frames of shots, as numbers or times, or a file of them; or none."),
]
Loop = Annotated[bool, typer.Option("--loop", help="A cycle: the last drawing moves into the first.")]
SlowSound = Annotated[
    Literal["auto", "copy", "stretch", "drop"],
    typer.Option("--sound", help="In slow motion: stretch or drop.", show_default="copy, or stretch"),
]
Codec = Annotated[str, typer.Option("--codec", help="h264, h265, vp9, av1, prores, ffv1 or an encoder of FFmpeg.")]
Crf = Annotated[int | None, typer.Option("--crf", help="Quality, lower is better.", show_default="16 for h264")]
Preset = Annotated[str | None, typer.Option("--preset", help="The encoder's preset.")]
Lossless = Annotated[bool, typer.Option("--lossless", help="Encode without loss; the file is large.")]
FlowScale = Annotated[
    float, typer.Option("--flow-scale", help="Scale of the size at which motion is estimated: 0.5 is faster.")
]
Preview = Annotated[str | None, typer.Option("--preview", help="Only a part: 10s@1:30 is 10 s from 1:30 on.")]
Compared = Annotated[
    Literal["side", "wipe"] | None, typer.Option("--compare", help="Show the source too: side by side, or a wipe.")
]
Deinterlace = Annotated[bool, typer.Option("--deinterlace", help="Make full frames from fields first.")]
Rate = Annotated[str | None, typer.Option("--rate", help="Frames per second of a folder of frames.", show_default="24")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print progress and result as lines of JSON.")]


def video(
    source: Source,
    output: Output = None,
    fps: Fps = None,
    times: Times = None,
    slow: Slow = None,
    cadence: HeldDrawings = "auto",
    max_hold: MaxHold = 0.5,
    cuts: Cuts = None,
    loop: Loop = False,
    sound: SlowSound = "auto",
    codec: Codec = "auto",
    crf: Crf = None,
    preset: Preset = None,
    lossless: Lossless = False,
    flow_scale: FlowScale = 1.0,
    preview: Preview = None,
    compare: Compared = None,
    deinterlace: Deinterlace = False,
    rate: Rate = None,
    resume: Resume = False,
    as_json: AsJson = False,
    model: Model = "default",
    weights: Weights = None,
    vgg: Vgg = None,
    device: Device = "auto",
    style: Style = "auto",
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    force: Force = False,
) -> None:
    """Make a smoother film from a film.

    Sound, subtitles, fonts, chapters and metadata are kept. If a run is interrupted, OUT.parts keeps the finished part;
    --resume continues after it, with the same result.
    """
    from animeinterp.video.options import VideoOptions
    from animeinterp.video.sink.encoders import Encoding

    check_model_options(model, weights, vgg, device, style)
    options = VideoOptions(
        fps=fps,
        times=times,
        slow=slow,
        preview=preview,
        cadence=cadence,
        max_hold=max_hold,
        cuts=cuts,
        loop=loop,
        sound=sound,
        encoding=Encoding(codec, crf, preset, lossless),
        flow_scale=flow_scale,
        compare=compare,
        deinterlace=deinterlace,
        rate=rate,
        resume=resume,
        force=force,
        max_pixels=max_pixels,
    )
    load = partial(build_interpolator, model, weights, vgg, device, style, max_pixels)
    _make_film(source, output or _default_target(source), options, load, as_json)


def _make_film(
    source: Path, target: Path, options: VideoOptions, load: Callable[[], Interpolator], as_json: bool
) -> None:
    """Make a film and print its progress and result; `load` loads the interpolator."""
    from animeinterp.video.job import interpolate_video

    with report_video(as_json) as report, _advise_resume(target, report) as advised:
        result = interpolate_video(source, target, options, interpolator=load, report=advised)
    if as_json:
        out.print(json.dumps({"target": str(target), **asdict(result)}), markup=False)
    else:
        _print_summary(result, target)


def _default_target(source: Path) -> Path:
    """Return IN_smooth in the source's format, or as Matroska if that cannot be written; a folder for a folder."""
    from animeinterp.video.sink.encoders import CONTAINERS

    path = source.absolute()
    if source.is_dir():
        path = source.resolve()  # `.` has no name
        parent = source / ".." if source.name in ("", "..") else source.parent
        return parent / f"{path.name.replace('.', '_')}_smooth"
    suffix = path.suffix if path.suffix.lower() in CONTAINERS else ".mkv"
    return source.with_name(f"{path.stem}_smooth{suffix}")


@contextmanager
def _advise_resume(target: Path, report: Report) -> Iterator[Report]:
    """Yield `report`; if the run ends early after the first report, add to the error how to continue."""
    begun = False

    def report_and_note(progress: Progress) -> object:
        nonlocal begun
        begun = True
        return report(progress)

    try:
        yield report_and_note
    except UsageError:
        raise  # a mistaken call, whose message has its own advice
    except BaseException as error:
        from animeinterp.video.sink.segment_store import find_finished_parts

        folder = find_finished_parts(target) if begun else None
        if isinstance(error, AnimeInterpError):
            if folder is None:
                raise
            raise type(error)(f"{error}; {folder} keeps the finished part, and --resume continues after it") from error
        hint = "nothing is finished; give the same command to start again"
        if folder is not None:
            hint = f"{folder} keeps the finished part; give the same command with --resume to continue after it"
        if hasattr(error, "hint"):
            error.hint = hint
        else:
            err.print(hint, markup=False)
        raise


def _print_summary(result: Progress, target: Path) -> None:
    """Print the result in a few lines."""
    new = max(result.drawn + result.shown, 1)
    kept = f", {result.kept} kept from an earlier run" if result.kept else ""
    lines = [
        f"{target}: {result.frames} frames in {result.seconds:.1f} s, {result.drawn / new:.0%} drawn, "
        f"{result.shown / new:.0%} as they are ({result.held} held before a cut){kept}"
    ]
    cadence = {"ones": result.ones, "twos": result.twos, "threes": result.threes, "longer": result.longer}
    drawings = sum(cadence.values())
    if drawings:
        fractions = ", ".join(f"{count / drawings:.0%} on {name}" for name, count in cadence.items())
        lines.append(f"drawings: {fractions}; {result.cuts} cuts")
    if result.damaged:
        lines.append(f"{result.damaged} frames could not be decoded; those before them were held")
    if result.doubled:
        lines.append(f"{result.doubled} frames were left out, because the file gives them the time of another")
    if result.lost:
        lines.append(f"{result.lost} damaged packets of sound or subtitles were left out")
    if result.shrunk:
        lines.append(f"memory ran out {result.shrunk} times; motion was then estimated at a smaller size")
    lines += [f"not in the new file: {item}" for item in result.dropped]
    for line in lines:
        out.print(line, markup=False)
