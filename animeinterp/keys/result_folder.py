"""The folder of results: which drawings are to be made, and how they and the copies of keys get there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from animeinterp.frame import Frame, Mode
from animeinterp.io.files import atomic_path
from animeinterp.io.image_header import FORMATS
from animeinterp.io.images import LoadedImage, read_image, write_image
from animeinterp.keys.plan import PlannedLayer, PlannedPair
from animeinterp.keys.record import Fingerprints, Record, State
from animeinterp.keys.settings import KeySettings


@dataclass(frozen=True, slots=True)
class DrawingTask:
    """A pair, and those of its in-betweens that are still to be drawn.

    Attributes:
        pair: The pair; its in-betweens are those to draw, at least one.
        mode: The mode of the drawings.
    """

    pair: PlannedPair
    mode: Mode


class ResultFolder:
    """A locked folder of results.

    Attributes:
        kept: Number of in-betweens of earlier runs that are kept.
        by_hand: Names of drawings that were changed by hand, which are kept.
        notes: Likewise, as sentences for the user.
    """

    def __init__(self, folder: Path, settings: KeySettings, fingerprints: Fingerprints) -> None:
        """Read the record of an earlier run, if it is to be continued."""
        self.kept, self.by_hand, self.notes = 0, list[str](), list[str]()
        self._folder, self._settings, self._fingerprints = folder, settings, fingerprints
        self._record = Record.read(folder) if settings.resume else Record(folder)

    def begin(self, layers: Sequence[PlannedLayer], modes: Sequence[Mode]) -> list[DrawingTask]:
        """Copy the keys, and return what is to be drawn."""
        sources: dict[str, str] = {}
        tasks, copies = list[DrawingTask](), list[tuple[Path, str]]()
        for layer, mode in zip(layers, modes, strict=True):
            for path, name in layer.keys:
                sources[name] = self._fingerprints.of([path], "key")
                if self._is_needed(name, sources[name]):
                    copies.append((path, name))
            for pair in layer.pairs:
                for drawing in pair.inbetweens:
                    hints = () if pair.hints is None else (pair.hints,)
                    sources[drawing.name] = self._fingerprints.of([pair.key0, pair.key1], str(drawing.t), mode, *hints)
                needed = tuple(one for one in pair.inbetweens if self._is_needed(one.name, sources[one.name]))
                self.kept += len(pair.inbetweens) - len(needed)
                if needed:
                    tasks.append(DrawingTask(replace(pair, inbetweens=needed), mode))
        leftovers = self._record.leftovers(sources)
        if leftovers:
            listed = ", ".join(leftovers[:4]) + (", …" if len(leftovers) > 4 else "")
            self.notes.append(f"{listed}: drawn by an earlier call with other settings; remove what is not needed")
        begun = [name for _, name in copies] + [one.name for task in tasks for one in task.pair.inbetweens]
        self._record.begin({name: sources[name] for name in begun})
        self._record.save()
        for path, name in copies:
            self._copy(path, name)
        return tasks

    def write(self, pair: PlannedPair, frames: Sequence[Frame], like: LoadedImage) -> None:
        """Write the in-betweens of a pair."""
        for drawing, frame in zip(pair.inbetweens, frames, strict=True):
            write_image(self._folder / drawing.name, frame, like, force=self._replaces)
            self._record.finish(drawing.name)
        self._record.save()

    @property
    def _replaces(self) -> bool:
        """Whether files may be replaced; a continued run has looked at each of them."""
        return self._settings.force or self._settings.resume

    def _is_needed(self, name: str, source: str) -> bool:
        """Return whether a drawing is to be made."""
        if self._settings.force or not self._settings.resume:
            return True
        state: State = self._record.state(name, source)
        if state == "foreign":
            self.by_hand.append(name)
            self.notes.append(f"{name} was changed by hand: it is kept")
        return state in ("missing", "outdated")

    def _copy(self, path: Path, name: str) -> None:
        """Copy a key; one that gets another format is converted, without loss but into JPEG."""
        target = self._folder / name
        if FORMATS[path.suffix.lower()] == FORMATS[target.suffix.lower()]:
            with atomic_path(target, force=self._replaces) as part:
                shutil.copyfile(path, part)
        else:
            image = read_image(path, self._settings.max_pixels)
            write_image(target, image.pixels, image, force=self._replaces)
        self._record.finish(name)
