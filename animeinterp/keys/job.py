"""Draw the in-betweens of a folder of key drawings.

    sources → find_keys → plan_layers → ResultFolder.begin (copies the keys) → PairDrawer on all cores → files → review

All pairs of all layers are drawn by one pool of worker processes. Keys are read when their pair is drawn. Every file
appears whole, under its name, as soon as its pair is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animeinterp.doubt import SCENE_DOUBT, DrawnPair
from animeinterp.errors import FrameError, UsageError
from animeinterp.frame import Frame, Mode
from animeinterp.io.files import check_folder, lock_folder, make_folder
from animeinterp.io.image_header import read_header
from animeinterp.io.images import check_image_format, check_image_target
from animeinterp.keys.numbering import find_keys
from animeinterp.keys.pair_hints import add_hints
from animeinterp.keys.plan import PlannedLayer, PlannedPair
from animeinterp.keys.planning import plan_layers
from animeinterp.keys.preparation import PairPreparer
from animeinterp.keys.reading import KeyReader
from animeinterp.keys.record import Fingerprints
from animeinterp.keys.redraw import RedrawList
from animeinterp.keys.result_folder import DrawingTask, ResultFolder
from animeinterp.keys.review import FOLDER, check_review, write_review
from animeinterp.keys.settings import KeySettings
from animeinterp.keys.sharing import choose_key_workers, run_length, share
from animeinterp.pairs import HintedPair, ModelChoice, PairDrawer
from animeinterp.runtime.pools import check_workers

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator


@dataclass(slots=True)
class KeysProgress:
    """Progress of a folder of keys.

    Attributes:
        total: In-betweens to draw.
        drawn: In-betweens drawn so far.
        stage: `drawing`, then `review` while sheets and the preview are made.
        latest: The pair that was drawn last.
    """

    total: int
    drawn: int = 0
    stage: str = "drawing"
    latest: PlannedPair | None = None


@dataclass(frozen=True, slots=True)
class DrawnKeys:
    """What was made of a folder of keys.

    Attributes:
        folder: The folder of results.
        layers: What was planned, and drawn.
        drawn: Number of in-betweens drawn.
        kept: Number of in-betweens kept of an earlier run.
        review: Files made for review: onion skins, preview, contact sheet, exposure sheets.
        redraw: Names of in-betweens that are doubtful, see `animeinterp.keys.redraw`.
        notes: Assumptions, as sentences for the user.
    """

    folder: Path
    layers: tuple[PlannedLayer, ...]
    drawn: int
    kept: int = 0
    review: tuple[Path, ...] = ()
    redraw: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeysPlan:
    """A checked call.

    Attributes:
        folder: The folder of results.
        layers: What to draw.
        modes: The mode of each layer's drawings: the smallest that holds all its keys.
        notes: Assumptions, as sentences for the user.
    """

    folder: Path
    layers: tuple[PlannedLayer, ...]
    modes: tuple[Mode, ...]
    notes: tuple[str, ...] = field(default=())


def plan_keys(sources: Sequence[Path | str], folder: Path | str, settings: KeySettings | None = None) -> KeysPlan:
    """Find the keys, plan their in-betweens and check that all can be written; reads headers only.

    Args:
        sources: Key drawings and folders of them.
        folder: Folder of the results; it may not exist yet.
        settings: What to make.

    Raises:
        UsageError: The settings are invalid or do not fit the keys, or a file to write exists.
        FileError: A key cannot be read, or a file cannot be written.
        FrameError: A key has an unsupported size or mode, or the keys of a layer differ in size.
    """
    settings, target = settings or KeySettings(), Path(folder)
    paths = [Path(source) for source in sources]
    check_folder(target, "give a folder for the drawings")
    for path in paths:
        if target.exists() and (path if path.is_dir() else path.parent).resolve() == target.resolve():
            raise UsageError(f"{target} holds the keys; give another folder, which gets copies of them")
    found = find_keys(paths)
    layers, notes = plan_layers(found.layers, settings)
    modes = tuple(_check_layer(layer, target, settings) for layer in layers)
    if settings.hints is not None:
        layers = add_hints(layers, settings.hints, settings.max_pixels)
    if settings.review:
        check_review(target, layers, settings)
    return KeysPlan(target, layers, modes, (*found.notes, *notes))


def draw_keys(
    sources: Sequence[Path | str],
    folder: Path | str,
    settings: KeySettings | None = None,
    *,
    model: Interpolator | ModelChoice | Callable[[], Interpolator] | None = None,
    workers: int | None = None,
    report: Callable[[KeysProgress], object] | None = None,
) -> DrawnKeys:
    """Draw the in-betweens of key drawings, on all cores, and copy the keys beside them.

    Args:
        sources: Key drawings and folders of them, see `animeinterp.keys.numbering`.
        folder: Folder of the results; made if it does not exist.
        settings: What to make.
        model: The model, an interpolator or what loads one; None takes the default model.
        workers: Worker processes; 1 draws in this process. None takes one per core, fewer for little work.
        report: Called before the first pair and after every pair, always with the same object.

    Returns:
        What was drawn.

    Raises:
        UsageError: As `plan_keys`.
        FileError: As `plan_keys`, or writing failed; what is finished stays.
        AnimeInterpError: A worker ended by itself three times over the same pairs.
    """
    settings, source = settings or KeySettings(), model or ModelChoice()
    if workers is not None:
        check_workers(workers)
    plan, preparer = plan_keys(sources, folder, settings), PairPreparer(align=settings.align, palette=settings.palette)
    make_folder(plan.folder)
    with lock_folder(plan.folder):
        results = ResultFolder(plan.folder, settings, Fingerprints(settings, _describe_model(source)))
        tasks = results.begin(plan.layers, plan.modes)
        progress = KeysProgress(sum(len(task.pair.inbetweens) for task in tasks))
        if report is not None:
            report(progress)
        keys = KeyReader(settings.max_pixels)
        redraw, notes = RedrawList(plan.folder / FOLDER, settings), dict[str, None]()
        for task, drawn in _draw(tasks, keys, preparer, source, workers):
            redraw.note(task.pair, drawn)  # first: a drawing that is there counts as finished
            notes |= dict.fromkeys(_note_scenes(task.pair, drawn))
            results.write(task.pair, preparer.finish(drawn.frames), keys.like[task.pair.key0])
            progress.drawn, progress.latest = progress.drawn + len(drawn.frames), task.pair
            if report is not None:
                report(progress)
        review: tuple[Path, ...] = ()
        if settings.review:
            progress.stage = "review"
            if report is not None:
                report(progress)
            review = write_review(plan.folder, plan.layers, settings)
        doubtful = redraw.finish(plan.layers, results.by_hand)
    notes |= dict.fromkeys((*plan.notes, *results.notes, *preparer.notes))
    return DrawnKeys(plan.folder, plan.layers, progress.drawn, results.kept, review, doubtful, tuple(notes))


def _note_scenes(pair: PlannedPair, drawn: DrawnPair) -> list[str]:
    """Return a note if two keys seem to show different scenes."""
    if max((doubt.value for doubt in drawn.doubts), default=0) <= SCENE_DOUBT:
        return []
    names = " to ".join(pair.names)
    return [
        f"{names}: hardly anything of one is found in the other; if they are two shots, draw each by a call of its own"
    ]


def _check_layer(layer: PlannedLayer, folder: Path, settings: KeySettings) -> Mode:
    """Check the headers of a layer's keys and the files to write; return the mode of the layer's drawings."""
    headers = [read_header(path, settings.max_pixels) for path, _ in layer.keys]
    (first, _), mode = layer.keys[0], headers[0].mode
    for header, (path, _) in zip(headers, layer.keys, strict=True):
        mode |= header.mode
        if (header.width, header.height) != (headers[0].width, headers[0].height):
            raise FrameError(
                f"{first} is {headers[0].width}x{headers[0].height} but {path} is {header.width}x{header.height}; "
                f"expected the keys of layer {layer.name} to have one size, so make them alike"
            )
    like = _empty_frame(headers[0].width, headers[0].height, mode)
    for name in layer.drawings:
        check_image_format(folder / name, like)
        if not folder.is_dir():
            continue
        if os.path.lexists(folder / name) and not (settings.force or settings.resume):
            raise UsageError(
                f"{folder / name} exists already; give --resume to draw only what is missing or has changed, --force "
                "to draw everything again, or another folder"
            )
        check_image_target(folder / name, like, force=True)
    return mode


def _empty_frame(width: int, height: int, mode: Mode) -> Frame:
    """Return a frame of a size and mode that takes no memory."""
    dtype: type[np.uint8 | np.uint16] = np.uint16 if mode.depth == 16 else np.uint8
    shape = (height, width) if mode.channels == 1 else (height, width, mode.channels)
    return np.broadcast_to(np.zeros((), dtype), shape)  # type: ignore[return-value]


def _describe_model(source: Interpolator | ModelChoice | Callable[[], Interpolator]) -> object:
    """Return what of a model changes its drawings, as a value with a stable `repr`."""
    if isinstance(source, ModelChoice):
        return source.preset, str(source.weights), str(source.vgg), source.options
    return getattr(source, "preset", type(source).__name__), getattr(source, "options", None)


def _draw(
    tasks: Sequence[DrawingTask],
    keys: KeyReader,
    preparer: PairPreparer,
    source: Interpolator | ModelChoice | Callable[[], Interpolator],
    workers: int | None,
) -> Iterator[tuple[DrawingTask, DrawnPair]]:
    """Yield each task, or part of one, with what was drawn."""
    if not tasks:
        return
    automatic = workers is None
    if workers is None:
        header = read_header(tasks[0].pair.key0, keys.max_pixels)
        workers = choose_key_workers(source, header.width * header.height, tasks)
    shared = share(tasks, workers)
    with PairDrawer(source, workers, automatic=automatic, judging="drawings") as drawer:
        pairs = drawer.draw(_read_pairs(shared, keys, preparer), run_length(shared, workers))
        yield from zip(shared, pairs, strict=True)


def _read_pairs(tasks: Sequence[DrawingTask], keys: KeyReader, preparer: PairPreparer) -> Iterator[HintedPair]:
    """Read and prepare the keys of each pair when there is room for them."""
    for task in tasks:
        frame0, frame1 = keys.read(task.pair.key0, task.mode), keys.read(task.pair.key1, task.mode)
        pair = frame0, frame1, [drawing.t for drawing in task.pair.inbetweens], task.pair.hints
        yield preparer.prepare(" to ".join(task.pair.names), pair)
