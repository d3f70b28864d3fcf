"""The folder of an evaluation, from which an interrupted run resumes.

    scores.csv             every model on every triplet, appended as they come
    scores.json            what was evaluated and how; at the end also the means and the triplets that were skipped
    frames/MODEL/NAME.png  the drawn frames
    report.html            the same for people
    gallery.html           the crops that look worst

A run resumes only if the same version, models, weights and measures made the scores from the same files; otherwise it
is refused. If best times are requested, triplets without them, or without a measure that they have today, are scored
again. Files are compared by fingerprints: sizes of a data set's frames, sizes and times of predictions, masks and
precomputed flows, content of annotations.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import isinf
from pathlib import Path
from typing import Any

from animeinterp.data.atd12k import FLOW_NAMES, TripletFiles
from animeinterp.data.types import LEVELS
from animeinterp.errors import FileError, UsageError
from animeinterp.evaluation.evaluate import Evaluation
from animeinterp.evaluation.masks import MASKS
from animeinterp.evaluation.predictions import find_prediction
from animeinterp.evaluation.scores import (
    TIMED_MEASURES,
    BestTime,
    PartScores,
    Summary,
    TripletScores,
    format_csv,
    read_rows,
    write_rows,
)
from animeinterp.frame import Frame
from animeinterp.io.files import check_folder, make_folder, write_text
from animeinterp.io.images import write_image
from animeinterp.io.reading import MEGABYTE, read_json
from animeinterp.metrics.scores import Scores

Settings = Mapping[str, Any]  # JSON-serializable
Rows = Mapping[str, tuple[TripletScores, ...]]  # by triplet, one row per model
_TABLE, _HEADER = "scores.csv", "scores.json"
_ADVICE = "choose another folder, or give --force to start over"


class Results:
    """The folder while it is filled; created by `open_results`.

    Args:
        folder: The folder.
        header: Content of scores.json so far.
        rows: Rows that are reused.
        models: Models whose frames are saved.
    """

    def __init__(self, folder: Path, header: Settings, rows: Rows, models: Sequence[str]) -> None:
        self.folder = folder
        self.rows = rows
        self._header = header
        self._models = models
        self._begun = False

    def frame_path(self, model: str, triplet: str) -> Path:
        """Return the path of a drawn frame."""
        return _frame_path(self.folder, model, triplet)

    def _begin(self) -> None:
        """Create the folder, its header and the table of reused rows, before the first new result."""
        if self._begun:
            return
        make_folder(self.folder)
        for model in self._models:
            make_folder(self.folder / "frames" / model)
        write_rows(self.folder / _TABLE, [row for rows in self.rows.values() for row in rows])
        write_text(self.folder / _HEADER, _json({**self._header, "complete": False}), force=True)
        self._begun = True

    def save_frame(self, model: str, triplet: str, frame: Frame) -> None:
        """Write a drawn frame. Raises FileError."""
        self._begin()
        write_image(self.frame_path(model, triplet), frame, force=True)

    def append(self, rows: Iterable[TripletScores]) -> None:
        """Append the rows of one triplet. Raises FileError."""
        self._begin()
        path, text = self.folder / _TABLE, format_csv(rows, heading=False)
        try:
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}; free some space and run it again") from error

    def finish(self, evaluation: Evaluation) -> None:
        """Write all rows in order, the means and the skipped triplets. Raises FileError."""
        write_rows(self.folder / _TABLE, evaluation.rows)
        current_folder = f"{Path.cwd()}{os.sep}"  # removed from messages, which keep paths as the user typed them
        content = {
            **self._header,
            "complete": True,
            "models": {model: describe(evaluation.summary(model)) for model in evaluation.models},
            "faults": {fault.triplet: fault.reason.replace(current_folder, "") for fault in evaluation.faults},
        }
        write_text(self.folder / _HEADER, _json(content), force=True)


def open_results(
    folder: Path,
    settings: Settings,
    about: Settings,
    fingerprints: Mapping[str, str],
    models: Sequence[str],
    force: bool,
) -> Results:
    """Open a new folder, or one to resume; nothing is written yet.

    Args:
        folder: The folder.
        settings: Must be the same to resume; `models` and `predictions` in it hold the names.
        about: Further content of scores.json.
        fingerprints: Of the files of each triplet, see `fingerprint`.
        models: Models whose frames are saved; rows without their frames are not reused.
        force: Whether to start over.

    Returns:
        The results, with the rows that are reused.

    Raises:
        UsageError: The folder holds something else.
        FileError: The folder cannot be read.
    """
    check_results_folder(folder, force)
    before: Rows = {}
    if not force and (folder / _HEADER).exists():
        before = _read_rows(folder, settings, fingerprints)
    rows = {
        name: some
        for name, some in before.items()
        if all(_frame_path(folder, model, name).is_file() for model in models)
    }
    return Results(folder, {"settings": settings, "about": about, "triplets": fingerprints}, rows, models)


def check_results_folder(folder: Path, force: bool) -> None:
    """Check that a folder can hold the results.

    Args:
        folder: The folder, which need not exist.
        force: Whether to start over.

    Raises:
        UsageError: The folder holds something else and not `force`.
        FileError: The path is not a folder.
    """
    check_folder(folder)
    if force:
        return
    if (folder / _HEADER).exists():
        _read_header(folder)
    elif any((folder / name).exists() for name in (_TABLE, "frames", "report.html", "gallery.html")):
        raise UsageError(f"{folder} holds scores or frames, but no {_HEADER} that describes them; {_ADVICE}")


def fingerprint(files: TripletFiles, predictions: Iterable[Path] = ()) -> str:
    """Compute the fingerprint of a triplet's files.

    Args:
        files: The triplet.
        predictions: Folders of predictions, whose frames are included.

    Returns:
        16 hexadecimal digits.
    """
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
            status = path.stat()
            parts.append((path.name, status.st_size, status.st_mtime_ns))
    except OSError as error:  # reported when the triplet is read
        parts.append(error.errno)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def describe(summary: Summary) -> dict[str, Any]:
    """Convert the means of a model for JSON.

    Args:
        summary: The means.

    Returns:
        A JSON-serializable dict, in which the PSNR of equal frames is the word Infinity.
    """
    levels = {name: mean for name, mean in zip(LEVELS, summary.levels, strict=True) if mean}
    groups = {"level": levels, "motion_type": summary.motion_types, "behavior": summary.behaviors}
    return {
        "triplets": summary.count,
        "whole": _numbers(summary.whole),
        "roi": summary.roi and _numbers(summary.roi),
        **{key: {name: _numbers(mean) for name, mean in means.items()} for key, means in groups.items()},
        "cpu_seconds": summary.seconds,
        "best_t": {name: _timing(best) for name, _, best in summary.timings()} or None,
        "parts": {name: _numbers(scores) for name, scores in summary.parts.items()} or None,
    }


def _frame_path(folder: Path, model: str, triplet: str) -> Path:
    """Return the path of a drawn frame."""
    return folder / "frames" / model / f"{triplet}.png"


def _read_rows(folder: Path, settings: Settings, fingerprints: Mapping[str, str]) -> Rows:
    """Read the triplets that have a row of each model with everything requested, in the order of `fingerprints`."""
    header = _read_header(folder)
    before: dict[str, dict[str, TripletScores]] = {}
    for row in read_rows(folder / _TABLE, drop_torn_line=True) if (folder / _TABLE).exists() else []:
        before.setdefault(row.triplet, {})[row.model] = row
    if not before:
        return {}
    best_t = bool(settings.get("best_t"))
    old_settings = {"best_t": False} | header["settings"]
    # Rows without best times are scored again below. The reverse, a run without them, would mix both.
    _check_same(folder, old_settings | {"best_t": best_t or old_settings["best_t"]}, json.loads(_json(settings)))
    old_fingerprints = header["triplets"]
    changed = [name for name in before if fingerprints.get(name, "") != old_fingerprints.get(name)]
    if changed:
        raise UsageError(
            f"{folder} holds scores of triplets whose files have changed, {len(changed)} of them, such as "
            f"{changed[0]}; {_ADVICE}"
        )
    models = [*settings["models"], *settings["predictions"]]
    complete = {name: before[name] for name in fingerprints if before.get(name, {}).keys() == set(models)}
    return {
        name: tuple(rows[model] for model in models)
        for name, rows in complete.items()
        if not best_t or all(_has_best_time(rows[model]) for model in settings["models"])
    }


def _has_best_time(row: TripletScores) -> bool:
    """Return whether a row has every measure at the best time; rows of older versions have PSNR and SSIM only."""
    if row.best is None or row.best.scores.chamfer is None:
        return False
    return row.best.scores.lpips is not None or row.whole.lpips is None


def _check_same(folder: Path, before: Settings, now: Settings) -> None:
    """Raise UsageError for settings that differ."""
    changes = "; ".join(
        f"{key} was {json.dumps(before.get(key))[:200]}, is {json.dumps(value)[:200]}"
        for key, value in now.items()
        if value != before.get(key)
    )
    if changes:
        raise UsageError(f"{folder} holds another evaluation: {changes}; {_ADVICE}")


def _read_header(folder: Path) -> dict[str, Any]:
    """Read scores.json. Raises UsageError if it is not that of an evaluation."""
    path = folder / _HEADER
    content = read_json(path, f"that of an evaluation; {_ADVICE}", 64 * MEGABYTE)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), dict) for key in ("settings", "triplets")):
        raise UsageError(f"{path} is not that of an evaluation: expected objects `settings` and `triplets`; {_ADVICE}")
    return content


def _numbers(scores: Scores | PartScores) -> dict[str, float | str | None]:
    """Convert scores for JSON, which has no infinity."""
    return {
        measure: "Infinity" if value is not None and isinf(value) else value
        for measure, value in asdict(scores).items()
    }


def _timing(best: BestTime) -> dict[str, float | str | None]:
    """Convert a best time for JSON."""
    scores = _numbers(best.scores)
    timed = {f"best_t_{measure}": scores[measure] for measure in TIMED_MEASURES}
    return {"best_t": best.t, "best_t_offset": best.offset, **timed}


def _json(content: Settings) -> str:
    """Format the content of scores.json."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
