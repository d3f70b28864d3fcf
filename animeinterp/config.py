"""What can be chosen: the architecture (`ModelConfig`, one per preset) and how it is run (`Options`).

Both are plain data. A preset is a `ModelConfig`; a quirk of the published network is a named field of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

SplatMode = Literal["average", "softmax"]


@dataclass(frozen=True, slots=True)
class ConsistencyLimits:
    """How forward-backward and color errors lower the importance of a pixel, exp(Z) of softmax splatting.

    By hand, on development triplets; shared by the flows of `sgm/` and of the networks.

    Attributes:
        per_px: Importance falls by e per 1 / `per_px` px of forward-backward error.
        per_level: Importance falls by e per 1 / `per_level` levels of color error, a level being 1/255 of the range.
        max_error_px: Larger forward-backward errors count as this, px.
        min_importance: Lower bound of the importance.
    """

    per_px: float = 0.2
    per_level: float = 0.04
    max_error_px: float = 10.0
    min_importance: float = 1e-4


CONSISTENCY = ConsistencyLimits()


@dataclass(frozen=True, slots=True)
class LineStyle:
    """How outlines are found (system §1a, contours).

    bilateral: diameter in px, sigma of color, sigma of space of the edge-preserving filter.
    low, high: hysteresis thresholds on the Laplacian scaled to a maximum of 255.
    """

    bilateral: tuple[int, float, float]
    low: float
    high: float


def scale_style(style: LineStyle, share: float) -> LineStyle:
    """The style for pictures with `share` of the usual pixels: the filter's px shrink with them."""
    diameter, color, space = style.bilateral
    return replace(style, bilateral=(max(3, round(diameter * share**0.5)), color, space * share**0.5))


WESTERN = LineStyle(bilateral=(30, 40, 30), low=1, high=20)
JAPANESE = LineStyle(bilateral=(10, 10, 10), low=2, high=20)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One architecture, as data.

    name: the preset's name.
    flow: where dense flow comes from: `rfr` refines SGM's coarse flow by a network (paper §4.2); `dis` fuses
        SGM's flow with DIS optical flow, no weights; `refined` does both, by a lighter network.
    synthesis: `gridnet` draws the frame by a network (paper §4.3); `compose` selects between the warped frames by
        rule; `chosen` lets a network select; `restored` joins what `chosen` and a heavy network draw.
    splat: forward-warping mode, `average` or `softmax` (Niklaus & Liu 2020).
    deformation: how SGM finds the deformation of a matched segment: DIS with the `published` settings, `quick` ones,
        or `none`: segments are only shifted.
    iterations: steps of the recurrent refinement; 0 and no gate leave the coarse flow as it is.
    correlation_levels, correlation_radius: size of the correlation lookup.
    apply_gate: multiply the coarse flow by exp(-g²) as the paper says; the published code computes g and drops it.
    coarse_flow_added: how often the coarse flow enters before the first lookup; the published code adds it twice.
    widths: channels of the shared encoder at 1/2, 1/4, 1/8, for `refined` and `chosen`.
    synthesis_widths: channels of `chosen` at 1/2, 1/4, 1/8, 1/16.
    network_pixel_fraction: share of a frame's pixels that `refined` and `chosen` look at; they draw from the frame as
    it is.
    network_pixel_range: at least (if there are as many) and at most so many.
    sgm_pixel_fraction: of `Options.working_pixels`, for segmentation, matching and DIS.
    dis_preset: how closely DIS looks that begins from nothing: OpenCV's `medium` or `fast`.
    """

    name: str
    flow: Literal["rfr", "dis", "refined"]
    synthesis: Literal["gridnet", "compose", "chosen", "restored"]
    splat: SplatMode
    deformation: Literal["published", "quick", "none"]
    iterations: int = 12
    correlation_levels: int = 4
    correlation_radius: int = 4
    apply_gate: bool = True
    coarse_flow_added: int = 1
    widths: tuple[int, int, int] = (32, 48, 96)
    synthesis_widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    network_pixel_fraction: float = 1.0
    network_pixel_range: tuple[int, int] = (0, 2_200_000)
    sgm_pixel_fraction: float = 1.0
    dis_preset: Literal["medium", "fast"] = "medium"


PAPER = ModelConfig(
    name="paper",
    flow="rfr",
    synthesis="gridnet",
    splat="average",
    deformation="published",
    apply_gate=False,
    coarse_flow_added=2,
)
CLASSICAL = ModelConfig(name="classical", flow="dis", synthesis="compose", splat="softmax", deformation="quick")

CEL = ModelConfig(
    name="cel",
    flow="refined",
    synthesis="chosen",
    splat="softmax",
    deformation="quick",
    iterations=4,
    correlation_levels=3,
    network_pixel_fraction=0.5,  # as good as all of it, at half the cost (docs/training-log.md)
    network_pixel_range=(480 * 270, 2_200_000),
)
# The weights of `cel`; it looks at half the width and height, segments are only shifted, and all is matched in less.
CEL_FAST = replace(
    CEL,
    name="cel-fast",
    deformation="none",
    iterations=3,
    network_pixel_fraction=0.25,
    sgm_pixel_fraction=0.4,
    dis_preset="fast",
)

# The best images, at several times the cost: `cel` joined with a heavy network from public weights.
STUDIO = replace(CEL, name="studio", synthesis="restored")


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is run; the defaults suit most drawings.

    style: `auto` looks at the frame; `western`, `japanese` are the paper's two settings; or a `LineStyle`.
    working_pixels: frames with more pixels are segmented and matched at a smaller size of about this area
        (the paper's 960x540); flow is then scaled back to the frame.
    max_pixels: frames with more pixels are refused; the default admits 8K (8192x4320) with some room.
    precision: `fp32`, or `bf16` for the networks; `auto` takes bf16 on a GPU that has it, for `studio` also on a CPU
        that has it, fp32 elsewhere.
    """

    style: Literal["auto", "western", "japanese"] | LineStyle = "auto"
    working_pixels: int = 960 * 540
    max_pixels: int = 40_000_000
    precision: Literal["auto", "fp32", "bf16"] = "auto"


PRESETS = {config.name: config for config in (CEL, CEL_FAST, STUDIO, CLASSICAL, PAPER)}
DEFAULT_PRESET = CEL.name
