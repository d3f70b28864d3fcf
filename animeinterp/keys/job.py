"""Draw the in-betweens of a folder of key drawings.

    sources → find_keys → plan_layer → copy the keys → draw_pairs on all cores → files

All pairs of all layers are drawn by one pool of worker processes. Keys are read when their pair is drawn, each once.
Every file appears whole, under its name, as soon as it is drawn.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animeinterp.errors import FrameError, UsageError
from animeinterp.frame import Frame, Mode
from animeinterp.io.files import atomic_path, check_folder, check_target, lock_folder, make_folder
from animeinterp.io.image_header import FORMATS, read_header
from animeinterp.io.images import LoadedImage, check_image_target, read_image, write_image
from animeinterp.keys.numbering import find_keys
from animeinterp.keys.plan import PlannedLayer, PlannedPair, check_distinct, plan_layer
from animeinterp.keys.reading import KeyReader
from animeinterp.keys.settings import KeySettings
from animeinterp.pairs import FramePair, ModelChoice, PairDrawer, check_workers, choose_workers

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator


@dataclass(slots=True)
class KeysProgress:
    """Progress of a folder of keys.

    Attributes:
        total: In-betweens to draw.
        drawn: In-betweens drawn so far.
        latest: The pair that was drawn last.
    """

    total: int
    drawn: int = 0
    latest: PlannedPair | None = None


@dataclass(frozen=True, slots=True)
class DrawnKeys:
    """What was made of a folder of keys.

    Attributes:
        folder: The folder of results.
        layers: What was planned, and drawn.
        drawn: Number of in-betweens drawn.
        notes: Assumptions, as sentences for the user.
    """

    folder: Path
    layers: tuple[PlannedLayer, ...]
    drawn: int
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
            raise UsageError(
                f"{target} holds the keys; give another folder for the drawings, which gets copies of them"
            )
    found = find_keys(paths)
    layers = tuple(plan_layer(layer, settings.timing, settings.count, settings.name) for layer in found.layers)
    check_distinct(layers)
    modes = tuple(_check_layer(layer, target, settings) for layer in layers)
    return KeysPlan(target, layers, modes, found.notes)


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
    plan = plan_keys(sources, folder, settings)
    make_folder(plan.folder)
    progress = KeysProgress(sum(len(pair.inbetweens) for layer in plan.layers for pair in layer.pairs))
    with lock_folder(plan.folder):
        for layer in plan.layers:
            _copy_keys(layer, plan.folder, settings)
        for pair, images in _draw(plan, settings, source, workers, progress, report):
            for inbetween, image in zip(pair.inbetweens, images, strict=True):
                write_image(plan.folder / inbetween.name, image.pixels, image, force=settings.force)
    return DrawnKeys(plan.folder, plan.layers, progress.drawn, plan.notes)


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
    names = [name for _, name in layer.keys]
    names += [drawing.name for pair in layer.pairs for drawing in pair.inbetweens]
    for name in names:
        if folder.is_dir():
            check_image_target(folder / name, like, settings.force)
        elif not folder.exists():
            check_image_target(Path(name), like, force=True)
    return mode


def _empty_frame(width: int, height: int, mode: Mode) -> Frame:
    """Return a frame of a size and mode that takes no memory."""
    dtype: type[np.uint8 | np.uint16] = np.uint16 if mode.depth == 16 else np.uint8
    shape = (height, width) if mode.channels == 1 else (height, width, mode.channels)
    return np.broadcast_to(np.zeros((), dtype), shape)  # type: ignore[return-value]


def _copy_keys(layer: PlannedLayer, folder: Path, settings: KeySettings) -> None:
    """Copy the keys of a layer; a key that gets another format is converted without loss."""
    for path, name in layer.keys:
        target = folder / name
        if FORMATS[path.suffix.lower()] != FORMATS[target.suffix.lower()]:
            image = read_image(path, settings.max_pixels)
            write_image(target, image.pixels, image, force=settings.force)
            continue
        check_target(target, settings.force)
        with atomic_path(target, force=settings.force) as part:
            shutil.copyfile(path, part)


def _draw(
    plan: KeysPlan,
    settings: KeySettings,
    source: Interpolator | ModelChoice | Callable[[], Interpolator],
    workers: int | None,
    progress: KeysProgress,
    report: Callable[[KeysProgress], object] | None,
) -> Iterator[tuple[PlannedPair, list[LoadedImage]]]:
    """Yield each pair with its in-betweens drawn."""
    pairs = [(pair, mode) for layer, mode in zip(plan.layers, plan.modes, strict=True) for pair in layer.pairs]
    pairs = [(pair, mode) for pair, mode in pairs if pair.inbetweens]
    if report is not None:
        report(progress)
    if not pairs:
        return
    keys = KeyReader(settings.max_pixels)
    automatic = workers is None
    if workers is None:
        header = read_header(pairs[0][0].key0, settings.max_pixels)
        workers = min(choose_workers(source, header.width * header.height), len(pairs))
    with PairDrawer(source, workers, automatic=automatic) as drawer:
        drawn = drawer.draw(_read_pairs(pairs, keys))
        for (pair, _), frames in zip(pairs, drawn, strict=True):
            yield pair, [replace(keys.like[pair.key0], pixels=frame) for frame in frames]
            progress.drawn, progress.latest = progress.drawn + len(frames), pair
            if report is not None:
                report(progress)


def _read_pairs(pairs: Sequence[tuple[PlannedPair, Mode]], keys: KeyReader) -> Iterator[FramePair]:
    """Read the keys of each pair when there is room for them."""
    for pair, mode in pairs:
        frame0, frame1 = keys.read(pair.key0, mode), keys.read(pair.key1, mode)
        yield frame0, frame1, [drawing.t for drawing in pair.inbetweens]
