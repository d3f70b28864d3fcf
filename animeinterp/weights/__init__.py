"""List the available models and describe their weights.

Records are plain data and need no torch; `animeinterp.weights.loading` reads the files.
"""

from __future__ import annotations

from animeinterp.weights.records import ModelRecord, Score, available_models, shipped_weights

__all__ = ["ModelRecord", "Score", "available_models", "shipped_weights"]
