"""Contact sheets of training samples: one row per sample, what goes in, what is true, how it moves."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from animeinterp.data.synthetic.dataset import Scenes
from animeinterp.data.types import Batch
from animeinterp.flow import flow_to_color
from animeinterp.io.images import check_image_target, write_image

_GAP, _HEAD = 6, 22
_PAPER, _INK, _GREY = "#f7f7f9", "#1c1c24", 96

Sheet = NDArray[np.uint8]  # (H, W, 3) RGB


class _Source(Protocol):
    def samples(self, batch: int, seed: int) -> Batch: ...


def write_preview(source: _Source, out: Path, count: int = 8, seed: int = 0, *, force: bool = False) -> None:
    """Write the sheet of a source's first `count` samples of a seed.

    Raises UsageError if `out` exists and `force` is not set, FileError if it cannot be written.
    """
    check_image_target(out, np.zeros((1, 1, 3), np.uint8), force)
    write_image(out, draw_sheet(source.samples(count, seed)), force=force)


def draw_sheet(samples: Batch | Scenes) -> Sheet:
    """Draw samples or scenes, one row each, uint8 RGB.

    Flow is in the Middlebury colors, saturated at its own row's 99th percentile of the true flow, or of the coarse
    flow where the true one is not known; gray where it is not known. Masks are white where set, trust from black to
    white.
    """
    reach = [_reach(flow) for flow in samples.flow01]
    if isinstance(samples, Batch):
        known = samples.known0.flatten(1).any(1)
        reach = [far if known[n] else _reach(samples.coarse01[n]) for n, far in enumerate(reach)]
    columns = {
        "frame 0": _pictures(samples.frame0),
        "truth": _pictures(samples.truth),
        "frame 1": _pictures(samples.frame1),
        "flow 0 to 1": _flows(samples.flow01, samples.known0, reach),
    }
    if isinstance(samples, Scenes):
        columns |= {
            "flow 1 to 0": _flows(samples.flow10, samples.known1, reach),
            "occluded 0 to 1": _pictures(samples.occluded01.expand(-1, 3, -1, -1)),
            "layers": [_labels(label) for label in samples.label0],
        }
    else:
        columns |= {
            "coarse 0 to 1": _flows(samples.coarse01, (samples.confidence0 > 0).float(), reach),
            "trust 0": _pictures(samples.confidence0.expand(-1, 3, -1, -1)),
        }
    times = [f"t = {float(t):.2f}, flow to {far:.0f} px" for t, far in zip(samples.t, reach, strict=True)]
    return _arranged(columns, times)


def _arranged(columns: dict[str, list[Sheet]], captions: list[str]) -> Sheet:
    height, width = next(iter(columns.values()))[0].shape[:2]
    size = (len(columns) * (width + _GAP) + _GAP, len(captions) * (height + _HEAD) + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for column, (title, pictures) in enumerate(columns.items()):
        for row, picture in enumerate(pictures):
            x, y = _GAP + column * (width + _GAP), row * (height + _HEAD)
            caption = f"{title}, {captions[row]}" if column == 1 else title
            draw.text((x, y + 2), caption, _INK, font)
            sheet.paste(Image.fromarray(picture), (x, y + _HEAD))
    return np.asarray(sheet)


def _pictures(frames: Tensor) -> list[Sheet]:
    pixels = np.rint(frames.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy() * 255)
    return list(pixels.astype(np.uint8))


def _flows(flows: Tensor, known: Tensor, reach: list[float]) -> list[Sheet]:
    drawn = []
    for flow, mask, far in zip(flows.cpu().numpy(), known[:, 0].cpu().numpy(), reach, strict=True):
        picture = flow_to_color(flow, far)
        drawn.append(np.where(mask[..., None] > 0, picture, np.uint8(_GREY)))
    return drawn


def _reach(flow: Tensor) -> float:
    return max(1.0, float(np.percentile(flow.norm(dim=0).cpu().numpy(), 99)))


def _labels(label: Tensor) -> Sheet:
    """A hue for each layer, gray for the background."""
    ranks = label.cpu().numpy().astype(np.uint32)
    mixed = (ranks[..., None] * np.array([97, 57, 151], np.uint32) + np.uint32(_GREY)) % 224 + 24
    return mixed.astype(np.uint8)
