"""What `evaluate` compares on what, out of its options; checked without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from animeinterp.cli.terminal import out
from animeinterp.errors import UsageError

if TYPE_CHECKING:
    from animeinterp.data.atd12k import TripletFiles


@dataclass(frozen=True, slots=True)
class Setup:
    """What is compared on what: preset and weights of models, and folders of predictions, by the names they go by.

    guided: the models that start from precomputed flows, where there are some in `flows`.
    """

    dataset: Path
    models: dict[str, tuple[str, Path | None]]
    predictions: dict[str, Path]
    vgg: Path | None
    device: str
    best_t: bool
    guided: tuple[str, ...] = ()
    flows: Path | None = None


def make_setup(
    dataset: Path,
    names: Sequence[str],
    weights: Path | None,
    predictions: Sequence[str],
    vgg: Path | None,
    device: str,
    best_t: bool,
) -> Setup:
    """What is compared, as the options of the verb say. Raises UsageError for options that do not go together."""
    models = {} if predictions and not names and not weights else _wanted(names or ["default"], weights)
    if best_t and not models:
        raise UsageError("--best-t has models draw at other times, and --predictions are at one; add a --model")
    folders: dict[str, Path] = {}
    for text in predictions:
        name, equals, path = text.rpartition("=")
        folder = Path(path)
        name = name if equals else folder.absolute().name
        if name in folders or name in models:
            raise UsageError(f"expected different names of models and predictions, got {name} twice; give NAME=DIR")
        folders[name] = folder
    return Setup(dataset, models, folders, vgg, device, best_t)


def check_setup(setup: Setup, lpips: Path | None) -> None:
    """Refuse, without torch, models, weights and a device that cannot be."""
    from animeinterp.cli.drawing import check_model_options
    from animeinterp.io.files import check_source

    for name, weights in setup.models.values():
        check_model_options(name, weights, setup.vgg, setup.device, "auto")
    if lpips:
        check_source(lpips, "weights of LPIPS with AlexNet")


def with_files(setup: Setup, annotations: Path | None, flows: str | None) -> tuple[Setup, list[TripletFiles]]:
    """The triplets, with precomputed flows only where a model takes them."""
    from animeinterp.config import PRESETS, PaperConfig
    from animeinterp.data.atd12k import list_triplets

    guided = tuple(
        label
        for label, (name, _) in setup.models.items()
        if name in PRESETS and isinstance(PRESETS[name].network, PaperConfig)
    )
    given = None if flows in (None, "none") else Path(flows)
    if given and not guided:
        raise UsageError("--flows is for models that refine matching alone, such as paper; leave it out")
    files = list_triplets(setup.dataset, annotations, given)
    known = [one.flows for one in files if one.flows]
    if flows == "none" or not guided or not known:
        return setup, [replace(one, flows=None) for one in files]
    rest = len(files) - len(known)
    note = f"; for the {rest} that have none here, segments are matched" if rest else ""
    folder = given or Path(known[0].parent.name)
    out.print(f"{', '.join(guided)}: SGM flows of {len(known)} triplets are taken from {folder}{note}", markup=False)
    return replace(setup, guided=guided, flows=folder), files


def _wanted(names: Sequence[str], weights: Path | None) -> dict[str, tuple[str, Path | None]]:
    """Preset and weights by the name that a model has in table, CSV and folder."""
    from animeinterp.config import DEFAULT_PRESET

    specs = []
    for text in names:
        name, _, path = text.partition("=")
        specs.append((DEFAULT_PRESET if name == "default" else name, Path(path) if path else None))
    if weights:
        if len(specs) > 1 or specs[0][1]:
            raise UsageError("--weights goes with one --model; with several, give each its own: --model NAME=WEIGHTS")
        specs = [(specs[0][0], weights)]
    often = Counter(name for name, _ in specs)
    wanted = {f"{n}-{w.stem}" if w and often[n] > 1 else n: (n, w) for n, w in specs}
    if len(wanted) < len(specs):
        raise UsageError(f"expected different models, got {', '.join(names)}; give weights of different file names")
    return wanted
