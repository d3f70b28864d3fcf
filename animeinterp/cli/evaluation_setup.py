"""Turn the options of `evaluate` into what is evaluated, and check it without torch."""

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
    """The data set, and the models and predictions that are evaluated on it.

    Attributes:
        dataset: Folder in ATD-12K's layout.
        models: Preset and weights of each model by its label in tables, CSV and folders.
        predictions: Folders of frames that other programs drew, by label.
        vgg: VGG-19 weights, None for none.
        device: Name of the device.
        best_t: Whether the time at which each model is nearest the truth is searched too.
        guided: Labels of the models that start from precomputed flows.
        flows: Folder of the precomputed flows, None for none.
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
    """Combine the options of the command.

    Args:
        dataset: Folder in ATD-12K's layout.
        names: Values of --model, `NAME` or `NAME=WEIGHTS`.
        weights: Value of --weights.
        predictions: Values of --predictions, `DIR` or `NAME=DIR`.
        vgg: Value of --vgg.
        device: Value of --device.
        best_t: Value of --best-t.

    Returns:
        The setup, without precomputed flows.

    Raises:
        UsageError: Options contradict each other.
    """
    models = {} if predictions and not names and not weights else _label_models(names or ["default"], weights)
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
    """Refuse, without torch, invalid models, weights and devices. Raises as `check_model_options`."""
    from animeinterp.cli.drawing import check_model_options
    from animeinterp.io.files import check_source

    for name, weights in setup.models.values():
        check_model_options(name, weights, setup.vgg, setup.device, "auto")
    if lpips:
        check_source(lpips, "weights of LPIPS with AlexNet")


def with_files(setup: Setup, annotations: Path | None, flows: str | None) -> tuple[Setup, list[TripletFiles]]:
    """Find the files of the triplets, and precomputed flows if a model accepts them.

    Args:
        setup: What is evaluated.
        annotations: Value of --annotations.
        flows: Value of --flows, a folder or `none`.

    Returns:
        The setup with its flows, and the files of every triplet.

    Raises:
        UsageError: Flows are given, but no model accepts them.
        FileError: A folder cannot be read.
    """
    from animeinterp.config import PRESETS, PaperConfig
    from animeinterp.data.atd12k import list_triplets

    guided = tuple(
        label
        for label, (name, _) in setup.models.items()
        if name in PRESETS and isinstance(PRESETS[name].network, PaperConfig)
    )
    given = None if flows in (None, "none") else Path(flows)
    if given and not guided:
        raise UsageError("--flows is for models that refine only SGM's flow, such as paper; leave it out")
    files = list_triplets(setup.dataset, annotations, given)
    known = [triplet.flows for triplet in files if triplet.flows]
    if flows == "none" or not guided or not known:
        return setup, [replace(triplet, flows=None) for triplet in files]
    missing = len(files) - len(known)
    note = f"; segments are matched for the other {missing}" if missing else ""
    folder = given or Path(known[0].parent.name)
    out.print(f"{', '.join(guided)}: SGM flows of {len(known)} triplets are taken from {folder}{note}", markup=False)
    return replace(setup, guided=guided, flows=folder), files


def _label_models(names: Sequence[str], weights: Path | None) -> dict[str, tuple[str, Path | None]]:
    """Return preset and weights by the label of each model in tables, CSV and folders."""
    from animeinterp.config import DEFAULT_PRESET

    models = []
    for text in names:
        name, _, path = text.partition("=")
        models.append((DEFAULT_PRESET if name == "default" else name, Path(path) if path else None))
    if weights:
        if len(models) > 1 or models[0][1]:
            raise UsageError("--weights is for one --model; with several, give each its own: --model NAME=WEIGHTS")
        models = [(models[0][0], weights)]
    counts = Counter(name for name, _ in models)
    labeled = {f"{n}-{w.stem}" if w and counts[n] > 1 else n: (n, w) for n, w in models}
    if len(labeled) < len(models):
        raise UsageError(f"expected different models, got {', '.join(names)}; give weights of different file names")
    return labeled
