"""Compares with programs that the user has installed: each draws the middle frame of every triplet, scored as ours.

    python benchmarks/peers.py DATASET --config benchmarks/peers.toml [--out FOLDER] [--only NAME …]
                               [--model NAME[=WEIGHTS] …] [--lpips FILE] [--force]

The TOML file holds command templates; benchmarks/peers.toml says how they are written, with examples. What FOLDER gets:

    scores.csv               every triplet's scores, ours and theirs, with the wall seconds of theirs
    peers.csv                theirs alone, for --peers of benchmarks/tables.py and of `animeinterp evaluate`
    table.md                 the means
    peers/NAME/frames        what a program drew, as TRIPLET.png; beside it drawn.json and an evaluation of its own
    models                   the evaluation of our models, with its report

The same command goes on where it was broken off, and tries again what failed. A program that is missing, or fails three
times in a row, is given up; one that lacks triplets is scored on the others and left out of the means. All this is told
at the end, and the exit code is then 1. Wall seconds are of one call for one frame, with the program's start.
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
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tables import block_of, evaluated, markdown, quality_table, without_folder

from animeinterp.data.atd12k import TripletFiles, read_triplet, triplets
from animeinterp.data.types import Triplet
from animeinterp.errors import AnimeInterpError, FileError, FrameError, UsageError
from animeinterp.evaluation.evaluate import Evaluation, compare_with_peers
from animeinterp.evaluation.predictions import read_prediction
from animeinterp.evaluation.results import fingerprint
from animeinterp.evaluation.scores import COLUMNS, TripletScores, cells, write_rows
from animeinterp.io.files import make_folder, write_text
from animeinterp.io.images import write_image

IN_A_ROW = 3  # failures after which a program is given up
PLACES = ("frame0", "frame1", "input", "output", "here")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True)
class Peer:
    """A program as the TOML file has it. here: the folder of that file."""

    name: str
    command: str
    result: str = ""
    timeout: float = 600
    here: str = ""

    def arguments(self, places: Mapping[str, Path]) -> list[str]:
        """The command's words; what is put in for a place is never split."""
        words = {**places, "here": Path(self.here)}
        return [re.sub(r"\{(\w+)\}", lambda found: str(words[found[1]]), word) for word in shlex.split(self.command)]


@dataclass(slots=True)
class Drawn:
    """seconds: wall seconds by triplet that was drawn, now or before. faults: what went wrong. new: some drawn now."""

    seconds: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    new: bool = False


def main(given: Sequence[str] | None = None) -> int:
    """Draw, score and write; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="in ATD-12K's layout")
    parser.add_argument("--config", type=Path, required=True, metavar="TOML")
    parser.add_argument("--model", action="append", metavar="NAME[=WEIGHTS]", help="ours; default: classical")
    parser.add_argument("--lpips", type=Path, metavar="FILE", help="weights of LPIPS, to measure it too, of all alike")
    parser.add_argument("--out", type=Path, default=Path("peers"), metavar="FOLDER", help="default: peers")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these of the TOML file alone")
    parser.add_argument("--force", action="store_true", help="draw and score anew what is in FOLDER")
    asked = parser.parse_args(given)
    try:
        told = compare(asked)
    except AnimeInterpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    for line in told:
        print(line, file=sys.stderr)
    return 1 if told else 0


def compare(asked: argparse.Namespace) -> list[str]:
    """What went wrong, a line each."""
    models = asked.model or ["classical"]
    peers = read_peers(asked.config, asked.only, models)
    files = triplets(asked.dataset)
    make_folder(asked.out)
    told, theirs, drawn = [], [], {}
    lpips = ["--lpips", str(asked.lpips)] if asked.lpips else []
    for peer in peers:
        folder = asked.out / "peers" / peer.name
        try:
            drawn[peer.name] = found = draw(peer, files, folder, asked.force)
            told += [f"{peer.name}: {fault}" for fault in found.faults]
            if found.seconds:
                theirs += score(peer.name, asked.dataset, folder, found.new, lpips)
        except AnimeInterpError as error:
            told.append(f"{peer.name}: {error}")
    write_rows(asked.out / "peers.csv", theirs)
    arguments = [*(part for model in models for part in ("--model", model)), *lpips]
    beside_ours = ["--peers", str(asked.out / "peers.csv")] if theirs else []
    arguments += ["--out", str(asked.out / "models"), *(["--force"] if asked.force else [])]
    try:
        ours, skipped = evaluated([str(asked.dataset), *arguments, *beside_ours])
    except AnimeInterpError as error:
        return [*told, str(error)]
    seconds = {(name, triplet): s for name, one in drawn.items() for triplet, s in one.seconds.items()}
    write_text(asked.out / "scores.csv", with_seconds([*ours, *theirs], seconds), force=True)
    shown = ["python benchmarks/peers.py DATASET", *(f"--model {without_folder(model)}" for model in models)]
    shown += [f"--lpips {asked.lpips.name}"] if asked.lpips else []
    write_text(asked.out / "table.md", table(" ".join(shown), ours, theirs, seconds), force=True)
    print(f"scores     {asked.out / 'scores.csv'}\ntable      {asked.out / 'table.md'}")
    return [*told, skipped] if skipped else told


# --- the TOML file


def read_peers(config: Path, only: Sequence[str] | None, models: Sequence[str]) -> list[Peer]:
    """The programs in a TOML file, or those of them in `only`. Raises FileError and UsageError."""
    try:
        content = tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"cannot read {config}: {error.strerror}; expected a TOML file of [[peer]]") from error
    except ValueError as error:
        raise UsageError(f"{config} is not a TOML file: {error}") from error
    listed = content.get("peer")
    if not isinstance(listed, list) or not listed:
        raise UsageError(f"{config} holds no [[peer]]; take one of the examples in benchmarks/peers.toml")
    peers = [_peer(config, entry) for entry in listed]
    names = [peer.name for peer in peers]
    ours = {model.partition("=")[0] for model in models}
    twice = [name for name in names if names.count(name) > 1 or name in ours]
    if twice:
        raise UsageError(f"{config}: expected names that nothing else here has, got {twice[0]}; choose another")
    unknown = set(only or ()) - set(names)
    if unknown:
        raise UsageError(f"{config} holds {', '.join(names)}, not {', '.join(sorted(unknown))}")
    return [peer for peer in peers if not only or peer.name in only]


def _peer(config: Path, entry: Any) -> Peer:
    kinds = {"name": str, "command": str, "result": str, "timeout": int | float}
    if not isinstance(entry, dict) or not {"name", "command"} <= entry.keys() <= kinds.keys():
        raise UsageError(
            f"{config}: expected name, command and, if needed, result and timeout in [[peer]], got {entry}"
        )
    for key, value in entry.items():
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise UsageError(f"{config}: {key} of a [[peer]] cannot be {value!r}; see benchmarks/peers.toml")
    peer = Peer(**entry, here=str(config.absolute().parent))
    if not re.fullmatch(r"\w[\w .+-]*", peer.name):
        raise UsageError(f"{config}: expected a name of letters, digits, spaces and .+-_, got {peer.name!r}")
    if peer.timeout <= 0:
        raise UsageError(f"{config}: timeout of {peer.name} is {peer.timeout}; expected seconds above 0")
    _check_command(config, peer)
    return peer


def _check_command(config: Path, peer: Peer) -> None:
    found = set(re.findall(r"\{(\w+)\}", peer.command))
    try:
        words = shlex.split(peer.command)
    except ValueError as error:
        raise UsageError(f"{config}: the command of {peer.name} cannot be split: {error}") from error
    takes = "input" in found or {"frame0", "frame1"} <= found
    if not words or not found <= set(PLACES) or not takes or not ("output" in found or peer.result):
        raise UsageError(
            f"{config}: expected {{frame0}} and {{frame1}}, or {{input}}, and {{output}} or a `result`, in the command "
            f"of {peer.name}, and no other word in braces but {{here}}; got {peer.command!r}"
        )


# --- drawing


def draw(peer: Peer, files: Sequence[TripletFiles], folder: Path, force: bool) -> Drawn:
    """Have a program draw what it has not drawn yet, or all. Raises FileError, UsageError if it cannot at all."""
    program = peer.arguments(dict.fromkeys(PLACES, Path()))[0]
    if shutil.which(program) is None:
        raise FileError(f"{program} is not to be found; install it or mend its command")
    make_folder(folder / "frames")
    known, found, failures, untried = {} if force else drawn_before(peer, folder), Drawn(), 0, 0
    for number, one in enumerate(files, 1):
        target, mark = folder / "frames" / f"{one.name}.png", fingerprint(one)
        if target.is_file() and one.name in known and known[one.name][0] == mark:
            found.seconds[one.name] = known[one.name][1]
            continue
        target.unlink(missing_ok=True)
        if failures == IN_A_ROW:
            untried += 1
            continue
        try:
            triplet = read_triplet(one)
        except (FileError, FrameError):
            continue  # the evaluation of our models lists it
        try:
            seconds = draw_one(peer, triplet, target)
        except (FileError, FrameError) as error:
            found.faults.append(f"{one.name}: {error}")
            failures += 1
            continue
        known[one.name], found.seconds[one.name], found.new, failures = (mark, seconds), seconds, True, 0
        write_text(folder / "drawn.json", json.dumps({**_settings(peer), "frames": known}, indent=1), force=True)
        print(f"{peer.name}: {number} of {len(files)}, {seconds:.2f} s", flush=True)
    if untried:
        found.faults.append(f"given up after {IN_A_ROW} failures in a row; {untried} triplets were not tried")
    return found


def drawn_before(peer: Peer, folder: Path) -> dict[str, tuple[str, float]]:
    """Stamp and wall seconds by triplet. Raises UsageError if another command drew it."""
    path = folder / "drawn.json"
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        same = all(content[key] == value for key, value in _settings(peer).items())
        frames = {name: (str(mark), float(seconds)) for name, (mark, seconds) in content["frames"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileError(f"cannot read {path} ({type(error).__name__}: {error}); remove {folder}") from error
    if not same:
        raise UsageError(
            f"{folder} holds what another command drew; choose another --out or name, or give --force to begin anew"
        )
    return frames


def _settings(peer: Peer) -> dict[str, str]:
    """What its frames depend on."""
    return {key: value for key, value in asdict(peer).items() if key in ("command", "result")}


def draw_one(peer: Peer, triplet: Triplet, target: Path) -> float:
    """Have a program draw one frame; its wall seconds. Raises FileError, FrameError for a frame of another size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given, work, by_folder = folder / "input", folder / "work", "{input}" in peer.command
        output = folder / ("output" if by_folder else "output.png")
        for place in (given, work, output) if by_folder else (given, work):
            place.mkdir()
        frames = {"frame0": given / "00000001.png", "frame1": given / "00000002.png"}
        for path, frame in zip(frames.values(), (triplet.frame0, triplet.frame1), strict=True):
            write_image(path, frame)
        seconds = run(peer.arguments({**frames, "input": given, "output": output}), work, folder, peer.timeout)
        drawn = work / peer.result if peer.result else second_of(output) if by_folder else output
        if not drawn.is_file():
            raise FileError(f"it left no {peer.result or 'output'}; it said: {last_line(folder)}")
        try:
            frame = read_prediction(drawn.parent, drawn.stem, triplet.truth.shape)
        except (FileError, FrameError) as error:
            raise type(error)(str(error).replace(f"{folder}{os.sep}", "")) from error
        write_image(target, frame, force=True)
    return seconds


def second_of(folder: Path) -> Path:
    """The drawn frame among a program's output, which is frame 0, the drawn one, frame 1 and perhaps more."""
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
    if len(pictures) == 2:
        raise FileError(f"it left {pictures[0].name} and {pictures[1].name}; expected one frame, or three and more")
    return pictures[min(1, len(pictures) - 1)] if pictures else folder / "nothing"


def run(arguments: Sequence[str], work: Path, log: Path, timeout: float) -> float:
    """Run a program in the folder `work`; wall seconds. Raises FileError if it cannot start, fails or hangs."""
    program = shutil.which(arguments[0]) or arguments[0]
    begin = time.perf_counter()
    with (log / "said.txt").open("wb") as said:
        try:
            process = subprocess.Popen(
                [str(Path(program).absolute()), *arguments[1:]],
                cwd=work,
                stdin=subprocess.DEVNULL,
                stdout=said,  # no pipe: what the program starts itself could hold it open for ever
                stderr=subprocess.STDOUT,
                start_new_session=os.name == "posix",
            )
        except OSError as error:
            raise FileError(f"{arguments[0]} cannot be started: {error.strerror}; mend its command") from error
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise FileError(f"it took longer than {timeout:g} s; raise its timeout, if that is not for ever") from error
        finally:
            stop(process)
    if code:
        raise FileError(f"it left with exit code {code}; it said: {last_line(log)}")
    return time.perf_counter() - begin


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, and what it has started."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def last_line(log: Path) -> str:
    lines = (log / "said.txt").read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "nothing")


# --- scores


def score(name: str, dataset: Path, folder: Path, new: bool, lpips: Sequence[str]) -> list[TripletScores]:
    """The rows of `animeinterp evaluate --predictions`. new: frames have come since. lpips: options for it."""
    arguments = [str(dataset), "--predictions", f"{name}={folder / 'frames'}", "--out", str(folder / "scores"), *lpips]
    return evaluated([*arguments, *(["--force"] if new else [])], quiet=True)[0]


def with_seconds(rows: Iterable[TripletScores], seconds: Mapping[tuple[str, str], float]) -> str:
    """The CSV of scores with a column wall_seconds, which is empty for our models."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "wall_seconds"])
    writer.writerows([*cells(row), seconds.get((row.model, row.triplet))] for row in rows)
    return text.getvalue()


def table(
    command: str,
    ours: Sequence[TripletScores],
    theirs: Sequence[TripletScores],
    seconds: Mapping[tuple[str, str], float],
) -> str:
    """The means in Markdown: quality of all, and wall seconds of the programs."""
    evaluation = Evaluation(tuple(ours), ())
    summaries, incomplete = compare_with_peers(evaluation, theirs)
    own = [evaluation.summary(model) for model in evaluation.models]
    text = block_of(command, f"means over {own[0].count} triplets; ", quality_table([*own, *summaries]))
    spent: dict[str, list[float]] = {}
    for (name, _), wall in seconds.items():
        spent.setdefault(name, []).append(wall)
    rows = [
        (name, str(len(some)), f"{sum(some) / len(some):.2f}", "left out above" if name in incomplete else "")
        for name, some in spent.items()
    ]
    return f"{text}\n{markdown(('program', 'frames', 'wall s/frame, with its start', ''), rows)}" if rows else text


if __name__ == "__main__":
    sys.exit(main())
