"""Give pairs of keys the hints of a file, see `animeinterp.hints_file`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from animeinterp.errors import UsageError
from animeinterp.hints_file import PairHints, read_pair_hints
from animeinterp.io.image_header import read_header
from animeinterp.keys.plan import PlannedLayer, PlannedPair


def add_hints(layers: Iterable[PlannedLayer], path: Path, max_pixels: int) -> tuple[PlannedLayer, ...]:
    """Give each pair of keys its hints.

    Args:
        layers: What is planned.
        path: The file of hints.
        max_pixels: Larger keys are refused.

    Returns:
        The layers with hints.

    Raises:
        UsageError: Hints name keys that do not follow each other, or do not fit them.
        FileError: The file cannot be read.
    """
    layers = tuple(layers)
    found: dict[PlannedPair, PlannedPair] = {}
    for entry in read_pair_hints(path):
        pairs = [pair for layer in layers for pair in layer.pairs if _is_of(entry, pair)]
        if not pairs:
            raise UsageError(
                f"{path} has hints from {entry.key0} to {entry.key1}, but no such keys follow each other; "
                "name two keys as their files are named"
            )
        for pair in pairs:
            header = read_header(pair.key0, max_pixels)
            entry.hints.check(header.height, header.width)
            found[pair] = replace(pair, hints=entry.hints)
    return tuple(replace(layer, pairs=tuple(found.get(pair, pair) for pair in layer.pairs)) for layer in layers)


def _is_of(entry: PairHints, pair: PlannedPair) -> bool:
    """Whether hints name the keys of a pair."""
    named = zip((entry.key0, entry.key1), (pair.key0, pair.key1), strict=True)
    return all(word in (key.name, key.stem) for word, key in named)
