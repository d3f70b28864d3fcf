"""Contact sheets of training samples: one row per sample, with its frames, coarse flow, confidence and true flow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from animeinterp.data.synthetic.dataset import Scenes
from animeinterp.data.types import Batch
from animeinterp.flow import flow_to_color
from animeinterp.frame import RGBImage
from animeinterp.io.images import check_image_target, write_image

if TYPE_CHECKING:
    from animeinterp.data.sources import SampleSource

_GAP, _CAPTION_HEIGHT, _FONT_SIZE = 6, 22, 14  # px
_PAPER, _INK = "#f7f7f9", "#1c1c24"
_UNKNOWN_GRAY = 96


def write_preview(source: SampleSource, out: Path, count: int = 8, seed: int = 0, *, force: bool = False) -> None:
    """Write a contact sheet of the first samples of a source.

    Args:
        source: See `animeinterp.data.sources.open_samples`.
        out: The image file.
        count: Number of samples.
        seed: Seed of the samples.
        force: Whether an existing file is replaced.

    Raises:
        UsageError: The file exists and `force` is not set.
        FileError: It cannot be written.
    """
    check_image_target(out, np.zeros((1, 1, 3), np.uint8), force)
    write_image(out, draw_sheet(source.samples(count, seed)), force=force)


def draw_sheet(samples: Batch | Scenes) -> RGBImage:
    """Draw samples or scenes, one per row.

    Flow has the Middlebury colors, saturated at the 99th percentile of the row's true flow, or of its coarse flow where
    the true flow is unknown; unknown flow is gray. Masks are white where set, confidence is black (0) to white (1).

    Args:
        samples: What to draw.

    Returns:
        The sheet, uint8 (H, W, 3) RGB.
    """
    radii = [_flow_radius(flow) for flow in samples.flow01]
    if isinstance(samples, Batch):
        known = samples.known0.flatten(1).any(1)
        radii = [radius if known[n] else _flow_radius(samples.coarse01[n]) for n, radius in enumerate(radii)]
    columns = {
        "frame 0": _to_images(samples.frame0),
        "truth": _to_images(samples.truth),
        "frame 1": _to_images(samples.frame1),
        "flow 0 to 1": _color_flows(samples.flow01, samples.known0, radii),
    }
    if isinstance(samples, Scenes):
        columns |= {
            "flow 1 to 0": _color_flows(samples.flow10, samples.known1, radii),
            "occluded 0 to 1": _to_images(samples.occluded01.expand(-1, 3, -1, -1)),
            "layers": [_color_layers(label) for label in samples.label0],
        }
    else:
        columns |= {
            "coarse 0 to 1": _color_flows(samples.coarse01, (samples.confidence0 > 0).float(), radii),
            "confidence 0": _to_images(samples.confidence0.expand(-1, 3, -1, -1)),
        }
    captions = [f"t = {float(t):.2f}, flow to {radius:.0f} px" for t, radius in zip(samples.t, radii, strict=True)]
    return _arrange(columns, captions)


def _arrange(columns: dict[str, list[RGBImage]], captions: list[str]) -> RGBImage:
    """Arrange titled columns of images on a sheet; the second column shows the captions."""
    height, width = next(iter(columns.values()))[0].shape[:2]
    size = (len(columns) * (width + _GAP) + _GAP, len(captions) * (height + _CAPTION_HEIGHT) + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for column, (title, images) in enumerate(columns.items()):
        for row, image in enumerate(images):
            x, y = _GAP + column * (width + _GAP), row * (height + _CAPTION_HEIGHT)
            caption = f"{title}, {captions[row]}" if column == 1 else title
            draw.text((x, y + 2), caption, _INK, font)
            sheet.paste(Image.fromarray(image), (x, y + _CAPTION_HEIGHT))
    return np.asarray(sheet)


def _to_images(frames: Tensor) -> list[RGBImage]:
    """Convert frames (N, 3, H, W) in [0, 1] to images."""
    pixels = np.rint(frames.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy() * 255)
    return list(pixels.astype(np.uint8))


def _color_flows(flows: Tensor, known: Tensor, radii: list[float]) -> list[RGBImage]:
    rows = zip(flows.cpu().numpy(), known[:, 0, ..., None].cpu().numpy(), radii, strict=True)
    return [np.where(mask > 0, flow_to_color(flow, radius), np.uint8(_UNKNOWN_GRAY)) for flow, mask, radius in rows]


def _flow_radius(flow: Tensor) -> float:
    """Return the displacement of full color, px."""
    return max(1.0, float(np.percentile(flow.norm(dim=0).cpu().numpy(), 99)))


def _color_layers(label: Tensor) -> RGBImage:
    """Color the layers of a scene; the background is gray."""
    ranks = label.cpu().numpy().astype(np.uint32)
    colors = (ranks[..., None] * np.array([97, 57, 151], np.uint32) + np.uint32(_UNKNOWN_GRAY)) % 224 + 24
    return colors.astype(np.uint8)
