"""Geometry of images and flow: resize, pad, warp backward, upsample.

Images are (N, C, H, W); flow is (N, 2, H, W), x first, in px of its own size. Pixel centers are at halves
(`align_corners=False`) unless a docstring says otherwise.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from animeinterp.errors import FrameError

MIN_SIZE = 16  # px, of either side of a frame


def check_frames(frame: Tensor) -> None:
    """Check frames for a network.

    Args:
        frame: Expected to be (N, 3, H, W), at least 16x16 px.

    Raises:
        FrameError: It is not.
    """
    if frame.ndim != 4 or frame.shape[1] != 3 or min(frame.shape[-2:]) < MIN_SIZE:
        raise FrameError(f"expected frames (N, 3, H, W) of at least {MIN_SIZE}x{MIN_SIZE} px, got {tuple(frame.shape)}")


def resize(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize (N, C, H, W) to `size` = (height, width), bilinear; an image of that size is returned as it is."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", align_corners=False)


def resize_area(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """Average (N, C, H, W) down to a smaller `size` that divides its own."""
    return F.avg_pool2d(image, image.shape[-1] // size[1])


def downsample(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, H, W) to a smaller size without aliasing: lines of a large frame must not break up."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True)


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Repeat the border of (N, C, H, W) right and below, up to multiples of `multiple` px."""
    height, width = image.shape[-2:]
    right, below = -width % multiple, -height % multiple
    return F.pad(image, (0, right, 0, below), mode="replicate") if right or below else image


def swap_directions(batch: Tensor) -> Tensor:
    """Swap the halves of a batch (2N, …): frames 0 and 1, or flow 0→1 and 1→0."""
    return torch.cat(batch.chunk(2)[::-1])


def scale_flow(flow: Tensor, size: tuple[int, ...], mode: str = "nearest") -> Tensor:
    """Resize flow and scale its vectors to px of the new size.

    Args:
        flow: (N, 2, H, W), px.
        size: (height, width).
        mode: Interpolation, `nearest` or `bilinear`.

    Returns:
        (N, 2, *size), px of that size.
    """
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    ratio = flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    corners = {} if mode == "nearest" else {"align_corners": False}
    return F.interpolate(flow, size, mode=mode, **corners) * ratio


def pixel_grid(like: Tensor) -> Tensor:
    """Coordinates of each pixel of (N, C, H, W), x first: (1, 2, H, W)."""
    height, width = like.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device), torch.arange(width, device=like.device), indexing="ij"
    )
    return torch.stack([x, y])[None].to(like.dtype)


def backward_warp(
    image: Tensor,
    flow: Tensor,
    mode: Literal["bilinear", "bicubic"] = "bilinear",
    outside: Literal["zeros", "border"] = "zeros",
) -> Tensor:
    """Sample an image at p + flow(p).

    The two ways to treat what lies outside normalize coordinates differently, which rounds differently: each is bit for
    bit what its networks were trained with.

    Args:
        image: (N, C, H, W).
        flow: (N, 2, H, W), px.
        mode: Interpolation.
        outside: Value outside the image: zero, as in RAFT, or the nearest border pixel.

    Returns:
        (N, C, H, W).
    """
    height, width = image.shape[-2:]
    if outside == "zeros":
        target = (pixel_grid(flow) + flow).permute(0, 2, 3, 1)
        # Pixel centers at (2 p + 1) / size - 1: defined for one-pixel sizes too.
        grid = (2 * target + 1) / target.new_tensor([width, height]) - 1
        return F.grid_sample(image, grid, mode, align_corners=False)
    x = flow[:, 0] + torch.arange(width, device=flow.device, dtype=flow.dtype)
    y = flow[:, 1] + torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)
    return F.grid_sample(image, grid, mode, "border", align_corners=True)


def upsample_convex(flow: Tensor, mask: Tensor) -> Tensor:
    """Upsample flow eight times, each pixel a convex combination of 3x3 coarse ones (Teed & Deng 2020, §3.3).

    Args:
        flow: (N, 2, H, W), px of that size.
        mask: (N, 9 * 64, H, W), logits of the weights.

    Returns:
        (N, 2, 8 H, 8 W), px of that size.
    """
    n, _, height, width = flow.shape
    # Channels last, as the mask comes out of its convolution: 64 at a time, and nothing is moved before the end.
    weights = mask.permute(0, 2, 3, 1).reshape(n, height, width, 9, 1, 64).softmax(3).unbind(3)
    patches = F.unfold(8 * flow, 3, padding=1).view(n, 2, 9, height, width)
    neighbors = patches.permute(0, 3, 4, 2, 1).unsqueeze(5).unbind(3)
    # One neighbor at a time: all nine at once would hold nine full-size flows.
    combined = weights[0] * neighbors[0]
    for weight, neighbor in zip(weights[1:], neighbors[1:], strict=True):
        combined += weight * neighbor
    fine = combined.view(n, height, width, 2, 8, 8).permute(0, 3, 1, 4, 2, 5)
    return fine.reshape(n, 2, 8 * height, 8 * width)
