"""The verb that makes whole films smoother."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from animeinterp.cli.drawing import build_interpolator, check_model_options
from animeinterp.cli.terminal import DEFAULTS, Device, Force, MaxPixels, Model, Style, Vgg, Weights, err, out
from animeinterp.cli.video_progress import Report, shown
from animeinterp.errors import AnimeInterpError, UsageError

if TYPE_CHECKING:
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
Times = Annotated[int | None, typer.Option("--times", help="As many times the source's rate.", show_default="2")]
Slow = Annotated[str | None, typer.Option("--slow", help="Slow motion: so many times longer.")]
HeldDrawings = Annotated[
    Literal["auto", "keep", "off"],
    typer.Option(
        "--cadence",
        help="Held drawings: auto turns holds into motion; keep leaves long ones still; off knows no holds.",
    ),
]
MaxHold = Annotated[float, typer.Option("--max-hold", min=0, help="Seconds from which a hold is long.")]
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
Lossless = Annotated[bool, typer.Option("--lossless", help="Lose nothing; the file is large.")]
FlowScale = Annotated[
    float, typer.Option("--flow-scale", help="Look for motion at so many times the usual size: 0.5 is quicker.")
]
Preview = Annotated[str | None, typer.Option("--preview", help="Only a segment: 10s@1:30.")]
Compared = Annotated[
    Literal["side", "wipe"] | None, typer.Option("--compare", help="Show the source too: side by side, or a wipe.")
]
Deinterlace = Annotated[bool, typer.Option("--deinterlace", help="Make whole frames of fields first.")]
Rate = Annotated[str | None, typer.Option("--rate", help="Frames per second of a folder of frames.", show_default="24")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was broken off.")]
AsJson = Annotated[bool, typer.Option("--json", help="Progress and result as lines of JSON.")]


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
    """Make a smoother film of a film.

    Sound, subtitles, fonts, chapters and metadata are kept. What is finished stays in OUT.parts when a run is broken
    off; --resume goes on behind it, with the same result.
    """
    from animeinterp.video.job import interpolate_video
    from animeinterp.video.options import VideoOptions
    from animeinterp.video.sink.encoders import Encoding

    check_model_options(model, weights, vgg, device, style)
    encoding = Encoding(codec, crf, preset, lossless)
    options = VideoOptions(
        *(fps, times, slow, preview, cadence, max_hold, cuts, loop, sound, encoding, flow_scale, compare, deinterlace),
        *(rate, resume, force, max_pixels),
    )
    target = output or _default_target(source)
    with shown(as_json) as progress, _kept(target, progress) as report:
        tally = interpolate_video(
            source,
            target,
            options,
            interpolator=lambda: build_interpolator(model, weights, vgg, device, style, max_pixels),
            report=report,
        )
    if as_json:
        out.print(json.dumps({"target": str(target), **asdict(tally)}), markup=False)
    else:
        _summarize(tally, target)


def _default_target(source: Path) -> Path:
    """IN_smooth in the source's format, or as Matroska where that cannot be written; a folder for a folder."""
    from animeinterp.video.sink.encoders import CONTAINERS

    whole = source.absolute()
    if source.is_dir():
        whole = source.resolve()  # `.` has no name
        return (
            source / ".." if source.name in ("", "..") else source.parent
        ) / f"{whole.name.replace('.', '_')}_smooth"
    suffix = whole.suffix if whole.suffix.lower() in CONTAINERS else ".mkv"
    return source.with_name(f"{whole.stem}_smooth{suffix}")


@contextmanager
def _kept(target: Path, report: Report) -> Iterator[Report]:
    """Say how to go on if the run ends before its time, and after `report` was first called."""
    begun = False

    def noticed(tally: Progress) -> object:
        nonlocal begun
        begun = True
        return report(tally)

    try:
        yield noticed
    except UsageError:
        raise  # a mistaken call, which has its own advice
    except BaseException as error:
        from animeinterp.video.sink.segment_store import find_finished_parts

        place = find_finished_parts(target) if begun else None
        if isinstance(error, AnimeInterpError):
            if place is None:
                raise
            raise type(error)(f"{error}; {place} keeps what is finished, and --resume goes on with it") from error
        hint = "nothing is finished; give the same command to begin anew"
        if place is not None:
            hint = f"{place} keeps what is finished; give the same command with --resume to go on with it"
        if hasattr(error, "hint"):
            error.hint = hint
        else:
            err.print(hint, markup=False)
        raise


def _summarize(tally: Progress, target: Path) -> None:
    """What was done, in a few lines."""
    new = max(tally.drawn + tally.shown, 1)
    kept = f", {tally.kept} kept from an earlier run" if tally.kept else ""
    lines: list[Any] = [
        f"{target}: {tally.frames} frames in {tally.seconds:.1f} s, {tally.drawn / new:.0%} drawn, "
        f"{tally.shown / new:.0%} as they are ({tally.held} held before a cut){kept}"
    ]
    stood = tally.ones + tally.twos + tally.threes + tally.longer
    if stood:
        shares = (("ones", tally.ones), ("twos", tally.twos), ("threes", tally.threes), ("longer", tally.longer))
        lines.append(f"drawings: {', '.join(f'{n / stood:.0%} on {name}' for name, n in shares)}; {tally.cuts} cuts")
    if tally.damaged:
        lines.append(f"{tally.damaged} frames could not be decoded; those before them were held")
    if tally.doubled:
        lines.append(f"{tally.doubled} frames were left out, because the file gives them the time of another")
    if tally.lost:
        lines.append(f"{tally.lost} damaged packets of sound or subtitles were left out")
    if tally.shrunk:
        lines.append(f"memory ran out {tally.shrunk} times; motion was looked for at a smaller size since")
    lines += [f"not in the new file: {what}" for what in tally.dropped]
    for line in lines:
        out.print(line, markup=False)
