"""The folder of an evaluation, which one that was broken off goes on from.

    scores.csv             every model on every triplet, appended as they come
    scores.json            what was evaluated and how; at the end also the means and the triplets that were skipped
    frames/MODEL/NAME.png  the drawn frames
    report.html            the same for people
    gallery.html           the crops that look worst

What is there is taken over only if the same version, models, weights and measures made it from the same files; else
the run is refused. Triplets without best times, or without all that is measured at them today, are done again once best
times are asked for. For the content of files stand the sizes of a data set's frames, and sizes and times of
predictions, masks and precomputed flows.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import isinf
from pathlib import Path
from typing import Any

from animeinterp.data.atd12k import FLOW_NAMES, TripletFiles
from animeinterp.data.difficulty import LEVELS
from animeinterp.errors import FileError, UsageError
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.masks import MASKS, PartScores
from animeinterp.evaluation.predictions import find_prediction
from animeinterp.evaluation.scores import AT_BEST, BestTime, Summary, TripletScores, csv_text, read_rows, write_rows
from animeinterp.frame import Frame
from animeinterp.io.files import check_folder, make_folder, write_text
from animeinterp.io.images import write_image
from animeinterp.io.reading import MEGABYTE, read_json
from animeinterp.metrics.scores import Scores

Settings = Mapping[str, Any]  # what JSON can hold
_TABLE, _HEADER = "scores.csv", "scores.json"
_ANEW = "choose another folder, or give --force to begin anew"


class Results:
    """Such a folder while it is filled; made by `open_results`.

    rows: what was there already, by triplet, one row per model.
    """

    def __init__(
        self, folder: Path, header: Settings, rows: Mapping[str, tuple[TripletScores, ...]], drawn: Sequence[str]
    ) -> None:
        self.folder = folder
        self.rows = rows
        self._header = header
        self._drawn = drawn
        self._lock = threading.Lock()

    def frame(self, model: str, triplet: str) -> Path:
        """Where a drawn frame lies or is to lie."""
        return _frame(self.folder, model, triplet)

    def begin(self) -> None:
        """Make the folder and what tells of the run, before any row. Raises FileError."""
        make_folder(self.folder)
        for model in self._drawn:
            make_folder(self.folder / "frames" / model)
        write_rows(self.folder / _TABLE, [row for rows in self.rows.values() for row in rows])
        write_text(self.folder / _HEADER, _json({**self._header, "complete": False}), force=True)

    def keep(self, model: str, triplet: str, frame: Frame) -> None:
        """Write a drawn frame; any thread may. Raises FileError."""
        write_image(self.frame(model, triplet), frame, force=True)

    def append(self, rows: Iterable[TripletScores]) -> None:
        """Add the rows of one triplet; any thread may. Raises FileError."""
        path, text = self.folder / _TABLE, csv_text(rows, heading=False)
        try:
            with self._lock, path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}; free some space and run it again") from error

    def finish(self, evaluation: Evaluation) -> None:
        """Write all rows in their order, the means and what was skipped. Raises FileError."""
        write_rows(self.folder / _TABLE, evaluation.rows)
        here = f"{Path.cwd()}{os.sep}"  # of paths, only what the user typed
        content = {
            **self._header,
            "complete": True,
            "models": {model: describe(evaluation.summary(model)) for model in evaluation.models},
            "faults": {fault.triplet: fault.reason.replace(here, "") for fault in evaluation.faults},
        }
        write_text(self.folder / _HEADER, _json(content), force=True)


def open_results(
    folder: Path, settings: Settings, about: Settings, stamps: Mapping[str, str], drawn: Sequence[str], force: bool
) -> Results:
    """Look at the folder of an evaluation, new or to go on in; nothing is written yet.

    settings: what has to be the same to go on; `models` and `predictions` in it hold the names. about: what else
    scores.json should say. stamps: what stands for the files of each triplet, see `fingerprint`. drawn: the models
    whose
    frames are kept; rows without their frames do not count. force: begin anew. Raises UsageError if what is there comes
    from something else, FileError if it cannot be read.
    """
    check_results_folder(folder, force)
    found: dict[str, tuple[TripletScores, ...]] = {}
    if not force and (folder / _HEADER).exists():
        found = _rows_before(folder, settings, stamps)
    rows = {name: some for name, some in found.items() if all(_frame(folder, model, name).is_file() for model in drawn)}
    return Results(folder, {"settings": settings, "about": about, "triplets": stamps}, rows, drawn)


def check_results_folder(folder: Path, force: bool) -> None:
    """Raise UsageError for a folder that holds other things than an evaluation, FileError for what is not a folder."""
    check_folder(folder)
    if force:
        return
    if (folder / _HEADER).exists():
        _read(folder / _HEADER)
    elif any((folder / name).exists() for name in (_TABLE, "frames", "report.html", "gallery.html")):
        raise UsageError(f"{folder} holds scores or frames, but no {_HEADER} that tells what of; {_ANEW}")


def fingerprint(files: TripletFiles, predictions: Iterable[Path] = ()) -> str:
    """What stands for the files of a triplet, and for its frames in folders of predictions: hexadecimal digits."""
    parts: list[object] = []
    try:
        for path in sorted(files.folder.iterdir()):
            if path.stem in ("frame1", "frame2", "frame3"):
                parts.append((path.name, path.stat().st_size))
        parts.append(files.annotation and files.annotation.read_bytes())
        paths = [files.flows / name for name in FLOW_NAMES] if files.flows else []
        paths += [files.masks / f"{name}.png" for name in MASKS] if files.masks else []
        paths += [find_prediction(folder, files.name) for folder in predictions]
        for path in paths:
            found = path.stat()
            parts.append((path.name, found.st_size, found.st_mtime_ns))
    except OSError as error:  # a fault, which is told when the triplet is read
        parts.append(error.errno)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def describe(summary: Summary) -> dict[str, Any]:
    """The means of a model as JSON can hold them; the PSNR of equal frames is the word Infinity."""
    levels = {name: mean for name, mean in zip(LEVELS, summary.levels, strict=True) if mean}
    return {
        "triplets": summary.count,
        "whole": _numbers(summary.whole),
        "roi": summary.roi and _numbers(summary.roi),
        **{
            key: {name: _numbers(mean) for name, mean in means.items()}
            for key, means in (
                ("level", levels),
                ("motion_type", summary.motion_types),
                ("behavior", summary.behaviors),
            )
        },
        "cpu_seconds": summary.seconds,
        "best_t": {name: _timing(best) for name, _, best in summary.timings()} or None,
        "parts": {name: _numbers(scores) for name, scores in summary.parts.items()} or None,
    }


def _frame(folder: Path, model: str, triplet: str) -> Path:
    return folder / "frames" / model / f"{triplet}.png"


def _rows_before(folder: Path, settings: Settings, stamps: Mapping[str, str]) -> dict[str, tuple[TripletScores, ...]]:
    """The rows of every triplet that has one of each model, with all that is asked for, in the order of `stamps`."""
    header = _read(folder / _HEADER)
    found: dict[str, dict[str, TripletScores]] = {}
    for row in read_rows(folder / _TABLE, torn=True) if (folder / _TABLE).exists() else []:
        found.setdefault(row.triplet, {})[row.model] = row
    if not found:
        return {}
    best_t = bool(settings.get("best_t"))
    before = {"best_t": False} | header["settings"]
    # rows that lack best times are left out below and done again; with best times, a run without would mix
    _check_same(folder, before | {"best_t": best_t or before["best_t"]}, json.loads(_json(settings)))
    changed = [name for name in found if name not in stamps or stamps[name] != header["triplets"].get(name)]
    if changed:
        raise UsageError(
            f"{folder} holds scores of triplets whose files are not the same any more, {len(changed)} of them, such as "
            f"{changed[0]}; {_ANEW}"
        )
    models = [*settings["models"], *settings["predictions"]]
    whole = {name: found[name] for name in stamps if found.get(name, {}).keys() == set(models)}
    if best_t:
        whole = {name: rows for name, rows in whole.items() if all(_timed(rows[m]) for m in settings["models"])}
    return {name: tuple(rows[model] for model in models) for name, rows in whole.items()}


def _timed(row: TripletScores) -> bool:
    """Whether a row has all that is measured at the best time; rows of older versions have PSNR and SSIM alone."""
    if row.best is None or row.best.scores.chamfer is None:
        return False
    return row.best.scores.lpips is not None or row.whole.lpips is None


def _check_same(folder: Path, before: Settings, now: Settings) -> None:
    differing = [key for key in now if now[key] != before.get(key)]
    if differing:
        told = "; ".join(
            f"{key} was {json.dumps(before.get(key))[:200]}, is {json.dumps(now[key])[:200]}" for key in differing
        )
        raise UsageError(f"{folder} holds another evaluation: {told}; {_ANEW}")


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path, f"that of an evaluation; {_ANEW}", 64 * MEGABYTE)
    parts = [content.get(key) for key in ("settings", "triplets")] if isinstance(content, dict) else [None]
    if not all(isinstance(part, dict) for part in parts):
        raise UsageError(f"{path} is of no evaluation that can go on: its parts are of another kind; {_ANEW}")
    return dict(content)


def _numbers(scores: Scores | PartScores) -> dict[str, float | str | None]:
    return {
        measure: "Infinity" if value is not None and isinf(value) else value
        for measure, value in asdict(scores).items()
    }


def _timing(best: BestTime) -> dict[str, float | str | None]:
    scores = _numbers(best.scores)
    return {
        "best_t": best.t,
        "best_t_offset": best.offset,
        **{f"best_t_{measure}": scores[measure] for measure in AT_BEST},
    }


def _json(content: Settings) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
