"""Presets (which parts, with which settings) and options (how a preset is run), as plain data.

A preset names its parts: how segments are matched (`SgmConfig`) and which network refines flow and draws the frame
(`PaperConfig`, `CelConfig`, `StudioConfig`, or None for drawing without learned weights). A quirk of the published
network is a named field, never a test for a preset's name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

SplatMode = Literal["average", "softmax"]
Deformation = Literal["published", "quick", "translation"]
DisPreset = Literal["medium", "fast"]
LineArtMode = Literal["auto", "off"]


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
    """How outlines are found (contours, paper §4.1).

    Attributes:
        bilateral: Edge-preserving filter: diameter in px, sigma of color, sigma of space.
        low: Lower hysteresis threshold on the Laplacian, scaled to a maximum of 255.
        high: Upper hysteresis threshold, same scale.
    """

    bilateral: tuple[int, float, float]
    low: float
    high: float


def scale_style(style: LineStyle, pixel_fraction: float) -> LineStyle:
    """Scale the filter of a style to frames with `pixel_fraction` of the usual number of pixels."""
    diameter, color, space = style.bilateral
    side = pixel_fraction**0.5
    return replace(style, bilateral=(max(3, round(diameter * side)), color, space * side))


WESTERN = LineStyle(bilateral=(30, 40, 30), low=1, high=20)
JAPANESE = LineStyle(bilateral=(10, 10, 10), low=2, high=20)


@dataclass(frozen=True, slots=True)
class SgmConfig:
    """Segment-guided matching and the flow that is fused from it.

    Attributes:
        deformation: How the deformation of a matched segment is found: DIS with the `published` settings, with
            `quick` ones, or not at all (`translation`: segments are only shifted).
        pixel_fraction: Fraction of `Options.working_pixels` on which segments are found and matched.
        dis_preset: OpenCV's preset for DIS flow that is not guided by matches.
        shades_lines: Whether line drawings are shaded, see `animeinterp.line_art`. The published method does not.
    """

    deformation: Deformation = "quick"
    pixel_fraction: float = 1.0
    dis_preset: DisPreset = "medium"
    shades_lines: bool = True


@dataclass(frozen=True, slots=True)
class PaperConfig:
    """The paper's network; the defaults are the paper's text, `PAPER` has the quirks of the published code.

    Attributes:
        iterations: Steps of the recurrent refinement.
        correlation_levels: Scales of the correlation lookup.
        correlation_radius: Points on each side of the estimate.
        apply_gate: Multiply the coarse flow by exp(-g²); the published code computes g and drops it.
        coarse_flow_added: How often the coarse flow enters before the first lookup; the published code adds it twice.
        splat: Forward-warping mode; the published code averages.
    """

    iterations: int = 12
    correlation_levels: int = 4
    correlation_radius: int = 4
    apply_gate: bool = True
    coarse_flow_added: int = 1
    splat: SplatMode = "softmax"


@dataclass(frozen=True, slots=True)
class CelConfig:
    """The project's own network.

    Attributes:
        network_pixel_fraction: Fraction of a frame's pixels that the network sees; the frame is drawn at its own size.
        network_pixel_range: Minimum (if the frame has as many) and maximum number of pixels that the network sees.
    """

    network_pixel_fraction: float = 1.0
    network_pixel_range: tuple[int, int] = (480 * 270, 2_200_000)


@dataclass(frozen=True, slots=True)
class StudioConfig:
    """`cel` joined with a heavy network from public weights.

    Attributes:
        cel: The light network; the heavy one sees frames of at most as many pixels.
    """

    cel: CelConfig = CelConfig()


NetworkConfig = PaperConfig | CelConfig | StudioConfig


@dataclass(frozen=True, slots=True)
class Preset:
    """A named model.

    Attributes:
        name: Its name on the command line.
        sgm: Segment-guided matching.
        network: The learned half; None draws by rules alone.
    """

    name: str
    sgm: SgmConfig
    network: NetworkConfig | None


def splat_mode(preset: Preset) -> SplatMode:
    """Return how a preset splats frames."""
    return preset.network.splat if isinstance(preset.network, PaperConfig) else "softmax"


PAPER = Preset(
    name="paper",
    sgm=SgmConfig(deformation="published", shades_lines=False),
    network=PaperConfig(apply_gate=False, coarse_flow_added=2, splat="average"),
)
CLASSICAL = Preset(name="classical", sgm=SgmConfig(), network=None)
# On twelve composed shots of 1920x1080 with exact truth (`write_linear`), LPIPS is 0.0340 if the network sees a quarter
# of the pixels, 0.0353 with half and 0.0377 with all: it was trained on frames of about 960x540. On the development
# set, of that size, fewer pixels are worse: 0.0404 with half, 0.0388 with all.
CEL = Preset(
    name="cel",
    sgm=SgmConfig(),
    network=CelConfig(network_pixel_fraction=0.25, network_pixel_range=(960 * 540, 2_200_000)),
)
# The weights of `cel` with less work: the network sees less of a frame, and segments are only shifted. On the twelve
# shots of 1920x1080 LPIPS is 0.0351 if the network sees 0.25 of the pixels, 0.0335 with 0.17 and 0.0372 with 0.125.
CEL_FAST = Preset(
    name="cel-fast",
    sgm=SgmConfig(deformation="translation", pixel_fraction=0.4, dis_preset="fast"),
    network=CelConfig(network_pixel_fraction=0.17),
)
# The best images, at several times the cost.
STUDIO = Preset(name="studio", sgm=SgmConfig(), network=StudioConfig())

PRESETS = {preset.name: preset for preset in (CEL, CEL_FAST, STUDIO, CLASSICAL, PAPER)}
DEFAULT_PRESET = CEL.name


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is run; the defaults suit most drawings.

    Attributes:
        style: `auto` chooses by the frame; `western`, `japanese` are the paper's two settings; or a `LineStyle`.
        working_pixels: Frames with more pixels are segmented and matched at a smaller size of about this area (the
            paper's 960x540); flow is then scaled back to the frame.
        max_pixels: Frames with more pixels are refused; the default admits 8K (8192x4320).
        line_art: `auto` recognizes line drawings on light paper or on a transparent layer and shades what matching and
            the network see of them, see `animeinterp.line_art`; `off` treats them as any other frame.
        precision: `fp32`, or `bf16` for the networks; `auto` takes bf16 on devices that are faster with it (on a CPU
            not for `paper`), and fp32 elsewhere.
    """

    style: Literal["auto", "western", "japanese"] | LineStyle = "auto"
    working_pixels: int = 960 * 540
    max_pixels: int = 40_000_000
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    line_art: LineArtMode = "auto"
