"""Find the key drawings of folders, tell their layers apart, and put each layer in order by its numbers.

Drawings whose names differ only in one number are one layer: `A0001.png, A0005.png` are the layer `A`, and
`B0001.png` in the same folder belongs to another. Of several numbers in a name the one counts that leaves the fewest
layers, the last one if that is no difference. Images without numbers are one layer, in the order of their names, or
in the given order if they are given one by one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from animeinterp.errors import FileError, UsageError
from animeinterp.io.files import check_source
from animeinterp.io.image_header import FORMATS

_DIGITS = re.compile(r"[0-9]+")
_SEPARATORS = " ._-"
_MAX_DIGITS = 9  # of a number that counts drawings; longer ones are dates or hashes


@dataclass(frozen=True, slots=True)
class KeyName:
    """The name of a key drawing around its number.

    Attributes:
        path: The file.
        number: Its number in the layer; None if the layer is not numbered.
        head: The stem before the number; the whole stem without one.
        tail: The stem after the number.
        digits: Number of digits, with leading zeros.
    """

    path: Path
    number: int | None
    head: str
    tail: str = ""
    digits: int = 0

    def numbered(self, number: int, suffix: str = "") -> str:
        """Return the name of the drawing with another number, and with an addition to it (`_1`)."""
        return f"{self.head}{number:0{self.digits}}{suffix}{self.tail}{self.path.suffix}"


@dataclass(frozen=True, slots=True)
class Layer:
    """Key drawings of one layer, in order.

    Attributes:
        name: What its file names have in common, such as `A`; the folder's name if that is nothing.
        keys: Two or more.
    """

    name: str
    keys: tuple[KeyName, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the keys; empty if they have none."""
        return tuple(key.number for key in self.keys if key.number is not None)


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """The layers of a call.

    Attributes:
        layers: In order of their names.
        notes: Assumptions, as sentences for the user.
    """

    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()


def find_keys(sources: Sequence[Path]) -> FoundKeys:
    """Find the key drawings that files and folders stand for.

    Args:
        sources: Image files, and folders of them, in any mix. Folders in folders are not searched.

    Returns:
        The layers, and what was assumed.

    Raises:
        FileError: A source is missing, a folder cannot be read, or two drawings of a layer have one number.
        UsageError: There are fewer than two drawings in every layer.
    """
    paths: list[Path] = []
    for source in sources:
        if source.is_dir():
            paths += _search_folder(source)
        else:
            check_source(source, "a key drawing or a folder of them")
            paths.append(source)
    unique = list(dict.fromkeys(paths))
    if len(unique) < 2:
        raise UsageError(
            f"expected two or more key drawings ({', '.join(FORMATS)}), found {len(unique)} in "
            f"{', '.join(map(str, sources))}; give a folder of them, or their names"
        )
    groups = _group(unique)
    alone = [keys[0].path for keys in groups if len(keys) == 1]
    layers = [_order(keys) for keys in groups if len(keys) > 1]
    if not layers:  # names that have nothing in common: start_1.png, end_2.png
        layers = [_order([KeyName(path, None, path.stem) for path in unique])]
        alone = []
    notes = [f"{path.name} is the only drawing of its layer: nothing to draw between" for path in alone]
    notes += [
        f"{layer.keys[0].path.name} and those after it hold no number: they are taken in this order: "
        + ", ".join(key.path.name for key in layer.keys[:4])
        + (", …" if len(layer.keys) > 4 else "")
        for layer in layers
        if not layer.numbers
    ]
    return FoundKeys(tuple(sorted(layers, key=lambda layer: (layer.name.casefold(), layer.name))), tuple(notes))


def common_numbers(names: Sequence[str]) -> dict[str, int] | None:
    """Return the numbers of file names that differ in one number only; None if they do not."""
    if len({tuple(_DIGITS.split(Path(name).stem)) for name in names}) != 1:
        return None
    groups = list(_split_by_number([Path(name) for name in names]))
    numbers = {key.path.name: key.number for key in groups[0] if key.number is not None}
    return numbers if len(groups) == 1 and len(set(numbers.values())) == len(names) else None


def _search_folder(folder: Path) -> list[Path]:
    """Return the images in a folder by name, hidden files aside."""
    try:
        files = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in FORMATS and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; expected a folder of key drawings") from error
    return sorted(files, key=lambda path: (path.name.casefold(), path.name))


def _group(paths: Sequence[Path]) -> list[list[KeyName]]:
    """Group drawings by layer."""
    texts: dict[tuple[Path, tuple[str, ...]], list[Path]] = defaultdict(list)
    plain: list[KeyName] = []
    for path in paths:
        words = tuple(_DIGITS.split(path.stem))
        if len(words) > 1:
            texts[path.parent, words].append(path)
        else:
            plain.append(KeyName(path, None, path.stem))
    groups = [group for alike in texts.values() for group in _split_by_number(alike)]
    return [*groups, plain] if plain else groups


def _split_by_number(paths: Sequence[Path]) -> Iterable[list[KeyName]]:
    """Split drawings whose names differ only in numbers into layers, by the number that counts best."""
    matches = [list(_DIGITS.finditer(path.stem)) for path in paths]
    best: dict[tuple[str, str], list[KeyName]] = {}
    for column in reversed(range(len(matches[0]))):
        layers: dict[tuple[str, str], list[KeyName]] = defaultdict(list)
        for path, found in zip(paths, matches, strict=True):
            begin, end = found[column].span()
            if end - begin > _MAX_DIGITS:
                break
            key = KeyName(path, int(found[column][0]), path.stem[:begin], path.stem[end:], end - begin)
            layers[_without_zeros(key.head), _without_zeros(key.tail)].append(key)
        else:
            if not best or len(layers) < len(best):
                best = layers
    return best.values() if best else [[KeyName(path, None, path.stem)] for path in paths]


def _without_zeros(text: str) -> str:
    """Return a text whose numbers have no leading zeros."""
    return _DIGITS.sub(lambda match: str(int(match[0])) if len(match[0]) <= _MAX_DIGITS else match[0], text)


def _order(keys: Sequence[KeyName]) -> Layer:
    """Put the drawings of a layer in order, and name it. Raises FileError if two have one number."""
    first = keys[0]
    folder = first.path.absolute().parent.name or "keys"
    if any(key.number is None for key in keys):
        return Layer(folder, tuple(keys))
    ordered = sorted(keys, key=lambda key: key.number or 0)
    for key, other in pairwise(ordered):
        if key.number == other.number:
            raise FileError(
                f"{key.path} and {other.path.name} both have the number {key.number}; expected one drawing each, so "
                "remove one"
            )
    name = " ".join(part for part in (first.head.strip(_SEPARATORS), first.tail.strip(_SEPARATORS)) if part)
    return Layer(name or folder, tuple(ordered))
