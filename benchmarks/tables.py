"""Measure the project's tables, and write them into docs/results.md and docs/performance.md.

    python benchmarks/tables.py DATASET [--model NAME[=WEIGHTS] …] [--predictions NAME=DIR …] [--peers CSV]
                                [--lpips FILE] [--best-t] [--out FOLDER]
                                [--quality | --speed | --only NAME …] [--film FILM] [--assets FOLDER] [--force]

Quality is measured by `animeinterp evaluate` on DATASET; with --out an interrupted run resumes. Speed is measured by
the other programs in this folder, each in a process of its own. A table is written as soon as it is measured, between
the lines `<!-- tables: NAME -->` and `<!-- end -->`. Tables that cannot be measured are listed at the end and stay as
they were. Nothing else should run on the machine meanwhile. --quick tries the command on small inputs; its figures are
meaningless and go into copies: --docs FOLDER.
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

from animeinterp.data.atd12k import list_triplets
from animeinterp.data.types import LEVELS
from animeinterp.errors import AnimeInterpError, FileError, UsageError
from animeinterp.evaluation.evaluate import Evaluation, compare_with_peers
from animeinterp.evaluation.scores import Summary, TripletScores, read_rows
from animeinterp.io.files import write_text
from animeinterp.metrics.scores import Scores

DOCS = Path(__file__).parents[1] / "docs"
END = "<!-- end -->"
QUALITY = "quality"
UNKNOWN = "–"
# Arguments of each program, in full and for --quick. Words in capitals are inputs of this run, and are removed together
# with their option if the run has no such input.
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


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write; return the exit code."""
    args = parse(argv)
    try:
        problems = write_tables(args)
    except AnimeInterpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; finished tables are written", file=sys.stderr)
        return 130
    for name, problem in problems.items():
        print(f"{name}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
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
    parser.add_argument("--force", action="store_true", help="start the quality table over")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quality", action="store_true", help="only the quality table")
    which.add_argument("--speed", action="store_true", help="only the speed tables")
    which.add_argument(
        "--only", nargs="+", choices=[QUALITY, *SPEED], metavar="NAME", help=", ".join([QUALITY, *SPEED])
    )
    parser.add_argument("--film", type=Path, help="for video; default: films it makes")
    parser.add_argument("--assets", type=Path, help="for training; default: only shapes")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER", help="of results.md and performance.md")
    parser.add_argument("--quick", action="store_true", help="small inputs, to try the command")
    return parser.parse_args(argv)


def write_tables(args: argparse.Namespace) -> dict[str, str]:
    """Measure and write the requested tables; return the problems by table."""
    if args.quick and args.docs.resolve() == DOCS.resolve():
        raise UsageError("figures of --quick are meaningless: give copies of the documents, --docs FOLDER")
    names = args.only or [QUALITY] * (not args.speed) + list(SPEED) * (not args.quality)
    for name in names:
        insert(args.docs, name, "")  # checks the documents before the long work
    inputs = find_inputs(args)
    problems = {}
    for name in names:
        print(f"--- {name}", flush=True)
        try:
            if name == QUALITY:
                block, problem = quality(args)
            else:
                block, problem = speed(name, SPEED[name][args.quick], inputs), ""
            file, text = insert(args.docs, name, block)
            write_text(file, text, force=True)
        except (Exception, SystemExit) as error:  # one that fails does not stop the others
            problem = f"left out: {type(error).__name__}: {error}"
        if problem:
            problems[name] = problem
    return problems


def find_inputs(args: argparse.Namespace) -> dict[str, Path | None]:
    """Return the inputs by their words in capitals. Raises FileError and UsageError."""
    for path in (args.film, args.assets, args.peers):
        if path and not path.exists():
            raise FileError(f"{path} does not exist; name one that does or leave the option out")
    inputs = {"DATASET": args.dataset, "FILM": args.film, "ASSETS": args.assets}
    for one in list_triplets(args.dataset):
        frames = [next(iter(sorted(one.folder.glob(f"frame{number}.*"))), None) for number in (1, 3)]
        if all(frames):
            return inputs | dict(zip(("FRAME1", "FRAME3"), frames, strict=True))
    return inputs


# --- documents


def insert(docs: Path, name: str, block: str) -> tuple[Path, str]:
    """Insert a table between its markers; return the document's path and new text. Raises FileError, UsageError."""
    file = docs / ("results.md" if name == QUALITY else "performance.md")
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot read {file}: {error.strerror}; expected the document of the table {name}") from error
    begin = f"<!-- tables: {name} -->\n"
    before, _, rest = text.partition(begin)
    old, end, after = rest.partition(END)
    if text.count(begin) != 1 or not end or "<!-- tables: " in old:
        raise UsageError(f"{file}: expected the lines {begin.strip()} and {END} once, where the table belongs")
    return file, f"{before}{begin}\n{block}\n{end}{after}"


def format_block(command: str, note: str, table: str) -> str:
    """Format a table below its command, the machine and the date."""
    return f"`{command}`; {note}{describe_machine()}; {datetime.date.today().isoformat()}\n\n{table}"


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table in Markdown."""
    lines = (heads, ["---"] * len(heads), *rows)
    texts = (f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
    return "".join(text.replace("|  |", "| |") for text in texts)


def describe_machine() -> str:
    """Name processor, cores, GPU if any, and versions, but not the machine itself."""
    import torch

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        entries = dict(line.split(":", 1) for line in cpuinfo.read_text(encoding="utf-8").splitlines() if ":" in line)
        processor = next((text.strip() for key, text in entries.items() if key.strip() == "model name"), processor)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {cores} cores{gpu}; Python {platform.python_version()}, PyTorch {torch.__version__}"


# --- quality


def quality(args: argparse.Namespace) -> tuple[str, str]:
    """Return the table's block, and a note if triplets were skipped."""
    named = [("--model", model) for model in args.model or ["cel", "classical"]]
    named += [("--predictions", folder) for folder in args.predictions or []]
    named += [("--lpips", str(args.lpips))] if args.lpips else []
    flags = ["--best-t"] if args.best_t else []
    arguments = [str(args.dataset), *(word for pair in named for word in pair), *flags]
    shown = ["DATASET", *(word for option, text in named for word in (option, without_folder(text))), *flags]
    kept = ["--out", str(args.out), *(["--force"] if args.force else [])] if args.out else []
    if args.peers:
        shown += ["--peers", args.peers.name]
    rows, skipped = run_evaluate([*arguments, *kept])
    evaluation = Evaluation(tuple(rows), ())
    peers = [row for row in read_rows(args.peers) if row.model not in evaluation.models] if args.peers else []
    summaries, incomplete = compare_with_peers(evaluation, peers)
    ours = [evaluation.summary(model) for model in evaluation.models]
    for peer, count in incomplete.items():
        print(f"{peer} is left out: it has {count} of these {ours[0].count} triplets")
    table = quality_table([*ours, *summaries])
    note = f"means over {ours[0].count} triplets; "
    return format_block(f"animeinterp evaluate {' '.join(shown)}", note, table), skipped


def without_folder(text: str) -> str:
    """Remove the folders from NAME=PATH, or from a path."""
    name, equals, path = text.partition("=")
    return f"{name}={Path(path).name}" if equals else Path(text).name


def run_evaluate(arguments: Sequence[str], quiet: bool = False) -> tuple[list[TripletScores], str]:
    """Run `animeinterp evaluate`; return its rows, and a note if triplets were skipped.

    Args:
        arguments: Of the command.
        quiet: Whether to print nothing.

    Returns:
        The rows and the note.

    Raises:
        FileError: The command wrote no scores.
    """
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "scores.csv")
        command = [sys.executable, "-m", "animeinterp", "evaluate", *arguments, "--csv", str(table)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} if quiet else {}
        process = subprocess.run(command, encoding="utf-8", **streams)
        if not table.exists():
            raise FileError(f"`animeinterp evaluate` wrote no scores; {(process.stderr or 'see above').strip()}")
        return read_rows(table), "some triplets were skipped; see the output of evaluate" if process.returncode else ""


def quality_table(summaries: Iterable[Summary]) -> str:
    """Format two tables with a row per model: means of whole frames and of the motion RoI, and means by level.

    LPIPS comes first, then PSNR and SSIM at the best time, then those at t = 0.5. A column that no model has is
    omitted.
    """
    summaries = list(summaries)
    return "\n".join(_table([cells(summary) for summary in summaries]) for cells in (_means, _by_level))


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    """Format rows without the columns that are unknown for all."""
    heads = [head for head in rows[0] if any(row[head] != UNKNOWN for row in rows)] if rows else []
    return markdown(["", *heads[1:]], [[row[head] for head in heads] for row in rows])


def _means(summary: Summary) -> dict[str, str]:
    """Format the overall means of a model, by heading."""
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
    """Format the means of a model by level, by heading."""
    best = [one.scores if one else None for one in summary.best_levels]
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
    """Format the name of a model; those drawn here, which have a time, as code."""
    return f"`{summary.model}`" if summary.seconds is not None else summary.model


def _text(scores: Scores | None, measure: str) -> str:
    """Format one score."""
    value = getattr(scores, measure, None)
    return UNKNOWN if value is None else f"{value:.{2 if measure == 'psnr' else 4}f}"


# --- speed


def speed(name: str, words: str, inputs: Mapping[str, Path | None]) -> str:
    """Measure the table of a program; return its block."""
    shown = drop_missing_inputs(words, inputs)
    arguments = [str(inputs.get(word) or word) for word in shown]
    # A process of its own: memory, threads and caches of the programs do not mix.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        rows = process.submit(_run, name, arguments).result()
    command = " ".join(["python", f"benchmarks/{name}.py", *shown])
    return format_block(command, "", markdown(("what", "figure", "against"), rows))


def drop_missing_inputs(words: str, inputs: Mapping[str, Path | None]) -> list[str]:
    """Split the words, without inputs that this run does not have and the options before them."""
    kept: list[str] = []
    for word in words.split():
        if not word.isupper() or inputs.get(word):
            kept.append(word)
        elif kept and kept[-1].startswith("--"):
            kept.pop()
    return kept


def _run(name: str, arguments: Sequence[str]) -> list[Row]:
    """Run a program of this folder; return its rows."""
    rows: list[Row] = importlib.import_module(name).main(arguments)
    return rows


if __name__ == "__main__":
    sys.exit(main())
