"""Compare with installed programs: each draws the middle frame of every triplet, and is scored like our models.

    python benchmarks/peers.py DATASET --config benchmarks/peers.toml [--out FOLDER] [--only NAME …]
                               [--model NAME[=WEIGHTS] …] [--lpips FILE] [--force]

The TOML file holds command templates; benchmarks/peers.toml explains them, with examples. FOLDER gets:

    scores.csv               every triplet's scores, ours and theirs, with the wall seconds of theirs
    peers.csv                only theirs, for --peers of benchmarks/tables.py and of `animeinterp evaluate`
    table.md                 the means
    peers/NAME/frames        a program's frames, as TRIPLET.png; beside them drawn.json and an evaluation of its own
    models                   the evaluation of our models, with its report

The same command resumes an interrupted run, and retries failures. A program that is missing, or fails three times in a
row, is given up. One that lacks triplets is scored on the others and left out of the means. Problems are listed at the
end, and the exit code is then 1. Wall seconds are those of one call for one frame, including the program's start.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peer_process import last_line, run
from tables import format_block, markdown, quality_table, run_evaluate, without_folder

from animeinterp.data.atd12k import TripletFiles, list_triplets, read_triplet
from animeinterp.data.types import Triplet
from animeinterp.errors import AnimeInterpError, FileError, FrameError, UsageError
from animeinterp.evaluation.evaluate import Evaluation, compare_with_peers
from animeinterp.evaluation.predictions import read_prediction
from animeinterp.evaluation.results import fingerprint
from animeinterp.evaluation.scores import COLUMNS, TripletScores, to_cells, write_rows
from animeinterp.io.files import make_folder, write_text
from animeinterp.io.images import write_image

MAX_FAILURES = 3  # in a row
PLACEHOLDERS = ("frame0", "frame1", "input", "output", "here")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True)
class Peer:
    """A program of the TOML file.

    Attributes:
        name: Its name.
        command: Template of the command.
        result: Path of the frame in the working folder; empty if the command names the output.
        timeout: Seconds per frame.
        here: Folder of the TOML file.
    """

    name: str
    command: str
    result: str = ""
    timeout: float = 600
    here: str = ""

    def arguments(self, paths: Mapping[str, Path]) -> list[str]:
        """Split the command into words and fill in the placeholders, whose values are never split."""
        values = {**paths, "here": Path(self.here)}
        return [re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]), word) for word in shlex.split(self.command)]


@dataclass(slots=True)
class Drawn:
    """The frames of a program.

    Attributes:
        seconds: Wall seconds by triplet, of frames drawn in this or an earlier run.
        faults: Messages about the others.
        new: Whether this run drew any.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    new: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, score and write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="in ATD-12K's layout")
    parser.add_argument("--config", type=Path, required=True, metavar="TOML")
    parser.add_argument("--model", action="append", metavar="NAME[=WEIGHTS]", help="ours; default: classical")
    parser.add_argument("--lpips", type=Path, metavar="FILE", help="weights of LPIPS, to measure it too, for all alike")
    parser.add_argument("--out", type=Path, default=Path("peers"), metavar="FOLDER", help="default: peers")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these programs of the TOML file")
    parser.add_argument("--force", action="store_true", help="draw and score everything again")
    args = parser.parse_args(argv)
    try:
        problems = compare(args)
    except AnimeInterpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command resumes", file=sys.stderr)
        return 130
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def compare(args: argparse.Namespace) -> list[str]:
    """Draw, score and write; return the problems."""
    models = args.model or ["classical"]
    peers = read_peers(args.config, args.only, models)
    files = list_triplets(args.dataset)
    make_folder(args.out)
    problems, theirs, drawn = [], [], {}
    lpips = ["--lpips", str(args.lpips)] if args.lpips else []
    for peer in peers:
        folder = args.out / "peers" / peer.name
        try:
            drawn[peer.name] = frames = draw(peer, files, folder, args.force)
            problems += [f"{peer.name}: {fault}" for fault in frames.faults]
            if frames.seconds:
                theirs += score(peer.name, args.dataset, folder, frames.new, lpips)
        except AnimeInterpError as error:
            problems.append(f"{peer.name}: {error}")
    write_rows(args.out / "peers.csv", theirs)
    arguments = [*(word for model in models for word in ("--model", model)), *lpips]
    arguments += ["--out", str(args.out / "models"), *(["--force"] if args.force else [])]
    arguments += ["--peers", str(args.out / "peers.csv")] if theirs else []
    try:
        ours, skipped = run_evaluate([str(args.dataset), *arguments])
    except AnimeInterpError as error:
        return [*problems, str(error)]
    seconds = {(name, triplet): s for name, one in drawn.items() for triplet, s in one.seconds.items()}
    write_text(args.out / "scores.csv", with_seconds([*ours, *theirs], seconds), force=True)
    shown = ["python benchmarks/peers.py DATASET", *(f"--model {without_folder(model)}" for model in models)]
    shown += [f"--lpips {args.lpips.name}"] if args.lpips else []
    write_text(args.out / "table.md", format_table(" ".join(shown), ours, theirs, seconds), force=True)
    print(f"scores     {args.out / 'scores.csv'}\ntable      {args.out / 'table.md'}")
    return [*problems, skipped] if skipped else problems


# --- the TOML file


def read_peers(config: Path, only: Sequence[str] | None, models: Sequence[str]) -> list[Peer]:
    """Read the programs of a TOML file.

    Args:
        config: The file.
        only: Names of the programs to return; None for all.
        models: Names of our models, which programs must not have.

    Returns:
        The programs.

    Raises:
        FileError: The file cannot be read.
        UsageError: It is invalid.
    """
    try:
        content = tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"cannot read {config}: {error.strerror}; expected a TOML file of [[peer]]") from error
    except ValueError as error:
        raise UsageError(f"{config} is not a TOML file: {error}") from error
    entries = content.get("peer")
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{config} holds no [[peer]]; take one of the examples in benchmarks/peers.toml")
    peers = [_peer(config, entry) for entry in entries]
    names = [peer.name for peer in peers]
    ours = {model.partition("=")[0] for model in models}
    duplicates = [name for name in names if names.count(name) > 1 or name in ours]
    if duplicates:
        raise UsageError(f"{config}: expected unique names, also among our models, got {duplicates[0]} twice")
    unknown = set(only or ()) - set(names)
    if unknown:
        raise UsageError(f"{config} holds {', '.join(names)}, not {', '.join(sorted(unknown))}")
    return [peer for peer in peers if not only or peer.name in only]


def _peer(config: Path, entry: Any) -> Peer:
    """Validate an entry of the TOML file."""
    types = {"name": str, "command": str, "result": str, "timeout": int | float}
    if not isinstance(entry, dict) or not {"name", "command"} <= entry.keys() <= types.keys():
        raise UsageError(
            f"{config}: expected name, command and, if needed, result and timeout in [[peer]], got {entry}"
        )
    for key, value in entry.items():
        if not isinstance(value, types[key]) or isinstance(value, bool):
            raise UsageError(f"{config}: {key} of a [[peer]] cannot be {value!r}; see benchmarks/peers.toml")
    peer = Peer(**entry, here=str(config.absolute().parent))
    if not re.fullmatch(r"\w[\w .+-]*", peer.name):
        raise UsageError(f"{config}: expected a name of letters, digits, spaces and .+-_, got {peer.name!r}")
    if peer.timeout <= 0:
        raise UsageError(f"{config}: timeout of {peer.name} is {peer.timeout}; expected seconds above 0")
    _check_command(config, peer)
    return peer


def _check_command(config: Path, peer: Peer) -> None:
    """Check the placeholders of a command."""
    used = set(re.findall(r"\{(\w+)\}", peer.command))
    try:
        words = shlex.split(peer.command)
    except ValueError as error:
        raise UsageError(f"{config}: the command of {peer.name} cannot be split: {error}") from error
    has_input = "input" in used or {"frame0", "frame1"} <= used
    if not words or not used <= set(PLACEHOLDERS) or not has_input or not ("output" in used or peer.result):
        raise UsageError(
            f"{config}: expected {{frame0}} and {{frame1}}, or {{input}}, and {{output}} or a `result`, in the command "
            f"of {peer.name}, and no other word in braces but {{here}}; got {peer.command!r}"
        )


# --- drawing


def draw(peer: Peer, files: Sequence[TripletFiles], folder: Path, force: bool) -> Drawn:
    """Draw the frames that a program has not drawn yet.

    Args:
        peer: The program.
        files: The triplets.
        folder: Folder of the program's results.
        force: Whether to draw all frames again.

    Returns:
        Its frames.

    Raises:
        FileError: The program is not installed.
        UsageError: Another command drew the frames in the folder.
    """
    program = peer.arguments(dict.fromkeys(PLACEHOLDERS, Path()))[0]
    if shutil.which(program) is None:
        raise FileError(f"cannot find {program}; install it or correct its command")
    make_folder(folder / "frames")
    known, drawn, failures, untried = {} if force else read_drawn_before(peer, folder), Drawn(), 0, 0
    for number, one in enumerate(files, 1):
        target, current = folder / "frames" / f"{one.name}.png", fingerprint(one)
        if target.is_file() and one.name in known and known[one.name][0] == current:
            drawn.seconds[one.name] = known[one.name][1]
            continue
        target.unlink(missing_ok=True)
        if failures == MAX_FAILURES:
            untried += 1
            continue
        try:
            triplet = read_triplet(one)
        except (FileError, FrameError):
            continue  # the evaluation of our models reports it
        try:
            seconds = draw_one(peer, triplet, target)
        except (FileError, FrameError) as error:
            drawn.faults.append(f"{one.name}: {error}")
            failures += 1
            continue
        known[one.name], drawn.seconds[one.name], drawn.new, failures = (current, seconds), seconds, True, 0
        write_text(folder / "drawn.json", json.dumps({**_settings(peer), "frames": known}, indent=1), force=True)
        print(f"{peer.name}: {number} of {len(files)}, {seconds:.2f} s", flush=True)
    if untried:
        drawn.faults.append(f"given up after {MAX_FAILURES} failures in a row; {untried} triplets were not tried")
    return drawn


def read_drawn_before(peer: Peer, folder: Path) -> dict[str, tuple[str, float]]:
    """Read fingerprint and wall seconds of frames drawn before. Raises UsageError if another command drew them."""
    path = folder / "drawn.json"
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        same = all(content[key] == value for key, value in _settings(peer).items())
        frames = {name: (str(before), float(seconds)) for name, (before, seconds) in content["frames"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileError(f"cannot read {path} ({type(error).__name__}: {error}); remove {folder}") from error
    if not same:
        raise UsageError(
            f"{folder} holds frames of another command; choose another --out or name, or give --force to start over"
        )
    return frames


def _settings(peer: Peer) -> dict[str, str]:
    """Return the settings that a program's frames depend on."""
    return {"command": peer.command, "result": peer.result}


def draw_one(peer: Peer, triplet: Triplet, target: Path) -> float:
    """Draw one frame; return the wall seconds. Raises FileError, and FrameError for a frame of another size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs, work, by_folder = folder / "input", folder / "work", "{input}" in peer.command
        output = folder / ("output" if by_folder else "output.png")
        for path in (inputs, work, output) if by_folder else (inputs, work):
            path.mkdir()
        frames = {"frame0": inputs / "00000001.png", "frame1": inputs / "00000002.png"}
        for path, frame in zip(frames.values(), (triplet.frame0, triplet.frame1), strict=True):
            write_image(path, frame)
        seconds = run(peer.arguments({**frames, "input": inputs, "output": output}), work, folder, peer.timeout)
        drawn = work / peer.result if peer.result else find_middle_frame(output) if by_folder else output
        if not drawn.is_file():
            raise FileError(f"it wrote no {peer.result or 'output'}; its last line: {last_line(folder)}")
        try:
            frame = read_prediction(drawn.parent, drawn.stem, triplet.truth.shape)
        except (FileError, FrameError) as error:
            raise type(error)(str(error).replace(f"{folder}{os.sep}", "")) from error
        write_image(target, frame, force=True)
    return seconds


def find_middle_frame(folder: Path) -> Path:
    """Find the drawn frame in an output folder of frame 0, the drawn frame, frame 1 and perhaps more."""
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if len(images) == 2:
        raise FileError(f"it wrote {images[0].name} and {images[1].name}; expected one frame, or three and more")
    return images[min(1, len(images) - 1)] if images else folder / "nothing"


# --- scores


def score(name: str, dataset: Path, folder: Path, new: bool, lpips: Sequence[str]) -> list[TripletScores]:
    """Score a program's frames by `animeinterp evaluate --predictions`.

    Args:
        name: Name of the program.
        dataset: Folder of triplets.
        folder: Folder of the program's results.
        new: Whether frames were drawn since they were last scored.
        lpips: Options for LPIPS.

    Returns:
        The rows.
    """
    arguments = [str(dataset), "--predictions", f"{name}={folder / 'frames'}", "--out", str(folder / "scores"), *lpips]
    return run_evaluate([*arguments, *(["--force"] if new else [])], quiet=True)[0]


def with_seconds(rows: Iterable[TripletScores], seconds: Mapping[tuple[str, str], float]) -> str:
    """Format the CSV of scores with a column wall_seconds, which is empty for our models."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "wall_seconds"])
    writer.writerows([*to_cells(row), seconds.get((row.model, row.triplet))] for row in rows)
    return text.getvalue()


def format_table(
    command: str,
    ours: Sequence[TripletScores],
    theirs: Sequence[TripletScores],
    seconds: Mapping[tuple[str, str], float],
) -> str:
    """Format the means in Markdown: quality of all, and wall seconds of the programs."""
    evaluation = Evaluation(tuple(ours), ())
    summaries, incomplete = compare_with_peers(evaluation, theirs)
    own = [evaluation.summary(model) for model in evaluation.models]
    text = format_block(command, f"means over {own[0].count} triplets; ", quality_table([*own, *summaries]))
    by_program: dict[str, list[float]] = {}
    for (name, _), wall in seconds.items():
        by_program.setdefault(name, []).append(wall)
    rows = [
        (name, str(len(walls)), f"{sum(walls) / len(walls):.2f}", "left out above" if name in incomplete else "")
        for name, walls in by_program.items()
    ]
    return f"{text}\n{markdown(('program', 'frames', 'wall s/frame, with its start', ''), rows)}" if rows else text


if __name__ == "__main__":
    sys.exit(main())
