"""The command that makes films smoother: video."""

# Typer takes the options of a command from its parameters, so a command may have more than eight.

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from animeinterp.cli.drawing import choose_model
from animeinterp.cli.estimates import show_estimates
from animeinterp.cli.films import make_films
from animeinterp.cli.resume_advice import advise_resume
from animeinterp.cli.terminal import DEFAULTS, Force, MaxPixels, Model, Ray, Style, Vgg, Weights, choose_workers, out
from animeinterp.cli.video_progress import print_summary, report_video
from animeinterp.errors import UsageError

if TYPE_CHECKING:
    from animeinterp.pairs import ModelChoice
    from animeinterp.video.options import VideoOptions

Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="IN...",
        readable=False,
        help="A video file, or a folder of numbered frames; or several, or folders of films.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        readable=False,
        help="mp4, mkv, mov, webm, gif, webp, apng, or a folder (a name without suffix); for several films a folder.",
        show_default="IN_smooth",
    ),
]
Container = Annotated[
    str | None,
    typer.Option(
        "--container",
        help="mkv, mp4, mov, …, where -o names no file: for several films, or without -o.",
        show_default="as the source",
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
Codec = Annotated[str, typer.Option("--codec", help="h264, h265, vp9, av1, prores, ffv1 or an FFmpeg encoder.")]
Crf = Annotated[int | None, typer.Option("--crf", help="Quality on the encoder's scale, lower is better.")]
Preset = Annotated[str | None, typer.Option("--preset", help="The encoder's preset.")]
Quality = Annotated[
    int | None,
    typer.Option("--quality", help="Quality from 0 to 100, alike for all encoders.", show_default="80 for h264"),
]
Bits = Annotated[int | None, typer.Option("--bits", help="Bits of a sample: 8 or 10.", show_default="as the source")]
EncoderOptions = Annotated[
    list[str] | None,
    typer.Option("--encoder-option", metavar="NAME=VALUE", help="An option of FFmpeg's encoder; may be repeated."),
]
Lossless = Annotated[bool, typer.Option("--lossless", help="Encode without loss; the file is large.")]
FlowScale = Annotated[
    float, typer.Option("--flow-scale", help="Scale of the size at which motion is estimated: 0.5 is faster.")
]
Preview = Annotated[str | None, typer.Option("--preview", help="Only a part: 10s@1:30 is 10 s from 1:30 on.")]
DoubtfulFrames = Annotated[
    Literal["draw", "hold"],
    typer.Option("--doubtful", help="Between drawings where new ones are doubtful: draw them, or hold the nearer one."),
]
Compared = Annotated[
    Literal["side", "wipe"] | None, typer.Option("--compare", help="Show the source too: side by side, or a wipe.")
]
Deinterlace = Annotated[bool, typer.Option("--deinterlace", help="Make full frames from fields first.")]
Rate = Annotated[str | None, typer.Option("--rate", help="Frames per second of a folder of frames.", show_default="24")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes that draw; the film is the same.", show_default="one per core"),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Write nothing; estimate drawings, new frames, time with each preset, and size."),
]
Devices = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, …; several: cuda:0,cuda:1.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print progress and result as lines of JSON.")]


def video(
    sources: Sources,
    output: Output = None,
    container: Container = None,
    fps: Fps = None,
    times: Times = None,
    slow: Slow = None,
    cadence: HeldDrawings = "auto",
    max_hold: MaxHold = 0.5,
    cuts: Cuts = None,
    loop: Loop = False,
    sound: SlowSound = "auto",
    codec: Codec = "auto",
    quality: Quality = None,
    crf: Crf = None,
    preset: Preset = None,
    lossless: Lossless = False,
    bits: Bits = None,
    encoder_option: EncoderOptions = None,
    flow_scale: FlowScale = 1.0,
    preview: Preview = None,
    doubtful: DoubtfulFrames = "draw",
    compare: Compared = None,
    deinterlace: Deinterlace = False,
    rate: Rate = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    model: Model = "default",
    weights: Weights = None,
    vgg: Vgg = None,
    device: Devices = "auto",
    style: Style = "auto",
    max_pixels: MaxPixels = DEFAULTS.max_pixels,
    workers: Workers = None,
    ray: Ray = None,
    force: Force = False,
) -> None:
    """Make a smoother film from a film, or from each of several.

    Sound, subtitles, fonts, chapters and metadata are kept. If a run is interrupted, OUT.parts keeps the finished part;
    --resume continues after it, with the same result. With several films (A.mkv B.mkv SEASON/ -o FOLDER/) names are
    kept, finished ones are skipped, and those that fail are listed at the end.
    """
    values = locals()
    from animeinterp.video.options import VideoOptions
    from animeinterp.video.sink.encoding import Encoding, parse_encoder_options

    choice = choose_model(model, weights, vgg, device, style, max_pixels)
    own_options = {"encoder_options": parse_encoder_options(encoder_option or [])}
    encoding = Encoding(**_select(Encoding, values) | own_options)
    own_workers = {"workers": choose_workers(workers, ray)}
    options = VideoOptions(**_select(VideoOptions, values) | own_workers, encoding=encoding)
    _start(sources, output, container, options, choice, dry_run, as_json)


def _start(
    sources: Sequence[Path],
    output: Path | None,
    container: str | None,
    options: VideoOptions,
    choice: ModelChoice,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make one film or many, or estimate what they will take."""
    from animeinterp.video.film_list import FilmJob, default_target, list_jobs

    source = _single_film(sources)
    if source is not None:
        if output is not None and container is not None:
            raise UsageError(f"{output} names the container by its suffix; leave out --container {container}")
        target = output or default_target(source, container)
        if dry_run:
            show_estimates([FilmJob(source, target)], options, choice, as_json)
        else:
            _make_film(source, target, options, choice, as_json)
    elif output is None:
        raise UsageError("several films need a folder for the new ones; give it with -o FOLDER/")
    elif dry_run:
        show_estimates(list_jobs(sources, output, container), options, choice, as_json)
    else:
        make_films(sources, output, options, choice, as_json, container)


def _select(options: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the command that are fields of a dataclass of options, by their common names."""
    return {field.name: values[field.name] for field in fields(options) if field.name in values}


def _single_film(sources: Sequence[Path]) -> Path | None:
    """Return the film, if the sources are one film and not a list or a folder of films."""
    from animeinterp.video.film_list import find_films

    if len(sources) > 1 or (sources[0].is_dir() and find_films(sources) != sources):
        return None
    return sources[0]


def _make_film(source: Path, target: Path, options: VideoOptions, choice: ModelChoice, as_json: bool) -> None:
    """Make a film with a model and print its progress and result."""
    from animeinterp.video.job import interpolate_video

    with report_video(as_json) as report, advise_resume(report, partial(_describe_finished_part, target)) as advised:
        result = interpolate_video(source, target, options, interpolator=choice, report=advised)
    if as_json:
        out.print(json.dumps({"target": str(target), **asdict(result)}), markup=False)
    else:
        print_summary(result, target)


def _describe_finished_part(target: Path) -> str | None:
    """Return what an interrupted run left and how to continue; None if nothing is finished."""
    from animeinterp.video.sink.segment_store import find_finished_parts

    folder = find_finished_parts(target)
    if folder is None:
        return None
    return f"{folder} keeps the finished part; give the same command with --resume to continue after it"
