"""Constants of the rule that blends two splatted frames, shared by `classical`, `cel` and their CPU kernels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlendRule:
    """When a splatted pixel counts, and how much.

    Chosen on the development benchmark (`animeinterp evaluate`); no value is critical within a factor of two.

    Attributes:
        max_variance: px²; motions that vary more than 1.5 times this where they meet mark a motion boundary.
        min_density: Splatted pixels of lower density are holes.
        cross_fade: Weight of the plain cross-fade; matters only where neither frame has a confident pixel.
    """

    max_variance: float = 0.2
    min_density: float = 0.02
    cross_fade: float = 0.003


BLEND_RULE = BlendRule()
