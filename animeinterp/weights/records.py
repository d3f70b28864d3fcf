"""One record per model: where its weights come from, under which licence, and what it scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Score:
    """One figure.

    benchmark, metric: what was measured, such as "ATD-12K test" and "PSNR". source: `published` in the paper,
    or `measured` with this package.
    """

    benchmark: str
    metric: str
    value: float
    source: Literal["published", "measured"]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model that `load_interpolator` knows by name.

    summary: one line for people. file: the weights' usual file name, None for a model without weights.
    shipped: whether the file comes with the package; otherwise its path is given by the user. sha256, size:
    of the file, hexadecimal and bytes; None where no file was at hand to take them from. licence,
    training_data: of the weights.
    """

    name: str
    summary: str
    file: str | None = None
    shipped: bool = False
    sha256: str | None = None
    size: int | None = None
    licence: str = ""
    training_data: str = ""
    scores: tuple[Score, ...] = ()


CEL = ModelRecord(
    name="cel",
    summary="this project's own network on top of `classical`'s motion; its weights come with the package",
    file="cel.safetensors",
    shipped=True,
    sha256="6268884bf432f714432e31f07db44bd4a58712009c76c98334493cf7c6b89f9c",
    size=2_964_354,
    licence="MIT",
    training_data="synthetic scenes and vector animation, see docs/model-card-cel.md",
    # animeinterp evaluate over the project's development set: 80 triplets of 2D animation, 960x540.
    scores=(
        Score("development set", "PSNR", 28.41, "measured"),
        Score("development set", "SSIM", 0.949, "measured"),
    ),
)

CEL_FAST = replace(
    CEL,
    name="cel-fast",
    summary="`cel` with less than half the work: pieces are only shifted, and motion is looked for in a smaller frame",
    scores=(
        Score("development set", "PSNR", 28.44, "measured"),
        Score("development set", "SSIM", 0.949, "measured"),
    ),
)

CLASSICAL = ModelRecord(
    name="classical",
    summary="segment-guided matching and optical flow, no weights",
    licence="MIT",
    training_data="none",
    # animeinterp evaluate over the project's development set: 80 triplets of 2D animation, 960x540.
    scores=(
        Score("development set", "PSNR", 28.40, "measured"),
        Score("development set", "SSIM", 0.947, "measured"),
    ),
)

PAPER = ModelRecord(
    name="paper",
    summary="the published AnimeInterp network (Siyao et al., CVPR 2021); its checkpoint is given by path",
    file="anime_interp_full.ckpt",
    licence="MIT (code); the authors state none for the weights",
    training_data="ATD-12K, after natural video; flow network from RAFT's weights",
    scores=(
        Score("ATD-12K test", "PSNR", 29.68, "published"),
        Score("ATD-12K test", "SSIM (legacy)", 0.958, "published"),
        Score("ATD-12K test, motion RoI", "PSNR", 26.27, "published"),
        Score("ATD-12K test, motion RoI", "SSIM (legacy)", 0.910, "published"),
    ),
)


def shipped_weights(name: str) -> Path | None:
    """The weights of a model that come with the package, None where none do."""
    for record in available_models():
        if record.name == name and record.shipped and record.file is not None:
            return Path(__file__).with_name(record.file)
    return None


def available_models() -> tuple[ModelRecord, ...]:
    """Every model there is, the default first."""
    return (CEL, CEL_FAST, CLASSICAL, PAPER)
