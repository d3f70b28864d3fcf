"""The models there are, and what is known about their weights.

Records are plain data, readable without torch; `animeinterp.weights.loading` reads the files.
"""

from __future__ import annotations

from animeinterp.weights.records import (
    CEL,
    CEL_FAST,
    CLASSICAL,
    PAPER,
    STUDIO,
    ModelRecord,
    Score,
    available_models,
    shipped_weights,
)

__all__ = [
    "CEL",
    "CEL_FAST",
    "CLASSICAL",
    "PAPER",
    "STUDIO",
    "ModelRecord",
    "Score",
    "available_models",
    "shipped_weights",
]
