"""The project's own tables: measured, and written into docs/results.md and docs/performance.md.

    python benchmarks/tables.py DATASET [--model NAME[=WEIGHTS] …] [--predictions NAME=DIR …] [--peers CSV]
                                [--lpips FILE] [--best-t] [--out FOLDER]
                                [--quality | --speed | --only NAME …] [--film FILM] [--assets FOLDER] [--force]

Quality is what `animeinterp evaluate` measures on DATASET; with --out it goes on where it was broken off. Speed is what
the other programs in this folder measure, each in a process of its own. A table is written as soon as it is there, and
only between the lines `<!-- tables: NAME -->` and `<!-- end -->`; what cannot be measured is told at the end and leaves
its table as it was. Nothing else should run on the machine meanwhile. --quick tries the command on small inputs, for
figures of no worth, which go into copies: --docs FOLDER.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from animeinterp.data.atd12k import triplets
from animeinterp.data.difficulty import LEVELS
from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.evaluation.evaluate import Evaluation, compare_with_peers
from animeinterp.evaluation.scores import Summary, TripletScores, read_rows
from animeinterp.io.files import write_text
from animeinterp.metrics.scores import Scores

DOCS = Path(__file__).parents[1] / "docs"
END = "<!-- end -->"
QUALITY = "quality"
UNKNOWN = "–"
# What each program is given, and for --quick; words in capitals stand for this run's inputs and go if there is none.
SPEED: Mapping[str, tuple[str, str]] = {
    "label_map": ("DATASET --plain 4", "DATASET"),
    "sgm": ("DATASET", "DATASET"),
    "splatting": ("--size 960x540 --channels 64 --threads 1", "--threads 1 --size 192x128 --channels 8 --repeats 1"),
    "paper_network": ("--size 960x540 --threads 1", "--threads 1 --size 192x128"),
    "cel": ("FRAME1 FRAME3", "FRAME1 FRAME3 --repeats 1"),
    "video": ("FILM", "FILM --seconds 1/4"),
    "training": (
        "--assets ASSETS --size 256 --batch 8 --device cpu --seconds 15",
        "--assets ASSETS --seconds 1 --size 64 --batch 2",
    ),
}
Row = tuple[str, str, str]


def main(given: Sequence[str] | None = None) -> int:
    """Measure and write; the exit code."""
    asked = parse(given)
    try:
        failed = write_tables(asked)
    except AnimeInterpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; the tables that were done are written", file=sys.stderr)
        return 130
    for name, reason in failed.items():
        print(f"{name}: {reason}", file=sys.stderr)
    return 1 if failed else 0


def parse(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="in ATD-12K's layout")
    parser.add_argument(
        "--model", action="append", metavar="NAME[=WEIGHTS]", help="default: cel, classical; repeatable"
    )
    parser.add_argument("--predictions", action="append", metavar="NAME=DIR", help="others' frames; repeatable")
    parser.add_argument("--lpips", type=Path, metavar="FILE", help="weights of LPIPS, to measure it too")
    parser.add_argument("--best-t", action="store_true", help="measure also at each model's best time")
    parser.add_argument("--peers", type=Path, metavar="CSV", help="scores of others, such as peers.csv by peers.py")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep the quality table's scores, frames and report")
    parser.add_argument("--force", action="store_true", help="begin the quality table anew")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quality", action="store_true", help="the quality table alone")
    which.add_argument("--speed", action="store_true", help="the speed tables alone")
    which.add_argument(
        "--only", nargs="+", choices=[QUALITY, *SPEED], metavar="NAME", help=", ".join([QUALITY, *SPEED])
    )
    parser.add_argument("--film", type=Path, help="for video; default: films it makes")
    parser.add_argument("--assets", type=Path, help="for training; default: shapes alone")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER", help="of results.md and performance.md")
    parser.add_argument("--quick", action="store_true", help="small inputs, to try the command")
    return parser.parse_args(given)


def write_tables(asked: argparse.Namespace) -> dict[str, str]:
    """Measure and write every table that is asked for; why some could not be, or not on all triplets."""
    if asked.quick and asked.docs.resolve() == DOCS.resolve():
        raise UsageError("figures of --quick are of no worth: give copies of the documents, --docs FOLDER")
    names = asked.only or [QUALITY] * (not asked.speed) + list(SPEED) * (not asked.quality)
    for name in names:
        place(asked.docs, name, "")  # before the long work
    inputs = found_inputs(asked)
    failed = {}
    for name in names:
        print(f"--- {name}", flush=True)
        try:
            if name == QUALITY:
                block, missing = quality(asked)
            else:
                block, missing = speed(name, SPEED[name][asked.quick], inputs), ""
            file, text = place(asked.docs, name, block)
            write_text(file, text, force=True)
        except (Exception, SystemExit) as error:  # one that fails does not stop the others
            missing = f"left out: {type(error).__name__}: {error}"
        if missing:
            failed[name] = missing
    return failed


def found_inputs(asked: argparse.Namespace) -> dict[str, Path | None]:
    """What the words in capitals stand for. Raises FileError and UsageError."""
    for path in (asked.film, asked.assets, asked.peers):
        if path and not path.exists():
            raise FileError(f"{path} does not exist; name one that does or leave the option out")
    inputs = {"DATASET": asked.dataset, "FILM": asked.film, "ASSETS": asked.assets}
    for one in triplets(asked.dataset):
        frames = [next(iter(sorted(one.folder.glob(f"frame{number}.*"))), None) for number in (1, 3)]
        if all(frames):
            return inputs | dict(zip(("FRAME1", "FRAME3"), frames, strict=True))
    return inputs


# --- documents


def place(docs: Path, name: str, block: str) -> tuple[Path, str]:
    """The document of a table, and its text with `block` between the table's markers. Raises FileError, UsageError."""
    file = docs / ("results.md" if name == QUALITY else "performance.md")
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot read {file}: {error.strerror}; expected the document of the table {name}") from error
    begin = f"<!-- tables: {name} -->\n"
    before, _, rest = text.partition(begin)
    inside, end, after = rest.partition(END)
    if text.count(begin) != 1 or not end or "<!-- tables: " in inside:
        raise UsageError(
            f"{file} has no one place for {name}: put the lines {begin.strip()} and {END} where it belongs"
        )
    return file, f"{before}{begin}\n{block}\n{end}{after}"


def block_of(command: str, note: str, table: str) -> str:
    """A table under what it was measured by, on which machine and when."""
    return f"`{command}`; {note}{machine()}; {datetime.date.today().isoformat()}\n\n{table}"


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    texts = (f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
    return "".join(text.replace("|  |", "| |") for text in texts)


def machine() -> str:
    """Processor, cores, GPU if any, and versions; nothing that names the machine itself."""
    import torch

    processor = platform.processor() or platform.machine()
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        known = dict(line.split(":", 1) for line in listed.read_text(encoding="utf-8").splitlines() if ":" in line)
        processor = next((text.strip() for key, text in known.items() if key.strip() == "model name"), processor)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {cores} cores{gpu}; Python {platform.python_version()}, PyTorch {torch.__version__}"


# --- quality


def quality(asked: argparse.Namespace) -> tuple[str, str]:
    """The table's block, and how many triplets are not in it."""
    models = asked.model or ["cel", "classical"]
    others = asked.predictions or []
    named = [("--model", model) for model in models] + [("--predictions", folder) for folder in others]
    named += [("--lpips", str(asked.lpips))] if asked.lpips else []
    flags = ["--best-t"] if asked.best_t else []
    arguments = [str(asked.dataset), *(word for pair in named for word in pair), *flags]
    shown = ["DATASET", *(word for option, text in named for word in (option, without_folder(text))), *flags]
    kept = ["--out", str(asked.out), *(["--force"] if asked.force else [])] if asked.out else []
    if asked.peers:
        shown += ["--peers", asked.peers.name]
    rows, skipped = evaluated([*arguments, *kept])
    evaluation = Evaluation(tuple(rows), ())
    peers = [row for row in read_rows(asked.peers) if row.model not in evaluation.models] if asked.peers else []
    summaries, incomplete = compare_with_peers(evaluation, peers)
    ours = [evaluation.summary(model) for model in evaluation.models]
    for peer, count in incomplete.items():
        print(f"{peer} is left out: it has {count} of these {ours[0].count} triplets")
    table = quality_table([*ours, *summaries])
    note = f"means over {ours[0].count} triplets; "
    return block_of(f"animeinterp evaluate {' '.join(shown)}", note, table), skipped


def without_folder(text: str) -> str:
    """NAME=PATH, or a path alone, without the folders before the path's last part."""
    name, equals, path = text.partition("=")
    return f"{name}={Path(path).name}" if equals else Path(text).name


def evaluated(arguments: Sequence[str], quiet: bool = False) -> tuple[list[TripletScores], str]:
    """The rows of `animeinterp evaluate`, and what it said if triplets had to be skipped.

    quiet: print nothing. Raises FileError if there are no rows.
    """
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "scores.csv")
        command = [sys.executable, "-m", "animeinterp", "evaluate", *arguments, "--csv", str(table)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} if quiet else {}
        done = subprocess.run(command, encoding="utf-8", **streams)
        if not table.exists():
            raise FileError(f"`animeinterp evaluate` gave no scores; {(done.stderr or 'see above').strip()}")
        skipped = "some triplets were skipped; see what evaluate said" if done.returncode else ""
        return read_rows(table), skipped


def quality_table(summaries: Iterable[Summary]) -> str:
    """Two tables with a row per model: means of whole frames and of the motion RoI, and means by level.

    LPIPS leads, then PSNR and SSIM at the best time, then those at t = 0.5. A column that no model has is left out.
    """
    given = list(summaries)
    return "\n".join(_table([cells(summary) for summary in given]) for cells in (_means, _by_level))


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    heads = [head for head in rows[0] if any(row[head] != UNKNOWN for row in rows)] if rows else []
    return markdown(["", *heads[1:]], [[row[head] for head in heads] for row in rows])


def _means(summary: Summary) -> dict[str, str]:
    best = summary.best.scores if summary.best else None
    return {
        "model": _name(summary),
        "LPIPS": _text(summary.whole, "lpips"),
        **{f"best-t {measure.upper()}": _text(best, measure) for measure in ("psnr", "ssim")},
        **{measure.upper(): _text(summary.whole, measure) for measure in ("psnr", "ssim")},
        **{f"RoI {measure.upper()}": _text(summary.roi, measure) for measure in ("lpips", "psnr", "ssim")},
        "CPU s/frame": UNKNOWN if summary.seconds is None else f"{summary.seconds:.2f}",
    }


def _by_level(summary: Summary) -> dict[str, str]:
    best = [found.scores if found else None for found in summary.best_levels]
    columns = (
        *(("LPIPS", "lpips", summary.levels), ("best-t PSNR", "psnr", best)),
        *(("PSNR", "psnr", summary.levels), ("SSIM", "ssim", summary.levels)),
    )
    cells = {
        f"{head} {level}": _text(scores, measure)
        for head, measure, means in columns
        for level, scores in zip(LEVELS, means, strict=True)
    }
    return {"model": _name(summary), **cells}


def _name(summary: Summary) -> str:
    return f"`{summary.model}`" if summary.seconds is not None else summary.model


def _text(scores: Scores | None, measure: str) -> str:
    value = getattr(scores, measure, None)
    return UNKNOWN if value is None else f"{value:.{2 if measure == 'psnr' else 4}f}"


# --- speed


def speed(name: str, words: str, inputs: Mapping[str, Path | None]) -> str:
    """The block of a program's table."""
    shown = with_inputs(words, inputs)
    arguments = [str(inputs.get(word) or word) for word in shown]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:  # memory, threads and caches apart
        rows = process.submit(_rows_of, name, arguments).result()
    command = " ".join(["python", f"benchmarks/{name}.py", *shown])
    return block_of(command, "", markdown(("what", "figure", "against"), rows))


def with_inputs(words: str, inputs: Mapping[str, Path | None]) -> list[str]:
    """The words without those that stand for an input that there is not, nor the option before such."""
    kept: list[str] = []
    for word in words.split():
        if not word.isupper() or inputs.get(word):
            kept.append(word)
        elif kept and kept[-1].startswith("--"):
            kept.pop()
    return kept


def _rows_of(name: str, arguments: Sequence[str]) -> list[Row]:
    rows: list[Row] = importlib.import_module(name).main(arguments)
    return rows


if __name__ == "__main__":
    sys.exit(main())
