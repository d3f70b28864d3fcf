"""Geometry of images and flow in torch: resize, pad, warp, upsample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resize(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bilinear, pixel centers at halves (`align_corners=False`); nothing to do where the size is right."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", align_corners=False)


def scale_flow(flow: Tensor, size: tuple[int, ...], mode: str = "nearest") -> Tensor:
    """Flow (N, 2, H, W) in px → the same motion in px of a picture of another size, (N, 2, *size)."""
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    ratio = flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    corners = {} if mode == "nearest" else {"align_corners": False}
    return F.interpolate(flow, size, mode=mode, **corners) * ratio


def pixel_grid(like: Tensor) -> Tensor:
    """Coordinates of each pixel, x first: (1, 2, H, W)."""
    height, width = like.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device), torch.arange(width, device=like.device), indexing="ij"
    )
    return torch.stack([x, y])[None].to(like.dtype)


def backward_warp(image: Tensor, flow: Tensor) -> Tensor:
    """Read image (N, C, H, W) at p + flow(p), bilinear, 0 outside."""
    height, width = image.shape[-2:]
    at = (pixel_grid(flow) + flow).permute(0, 2, 3, 1)
    # Pixel centers at (2 p + 1) / size - 1 without align_corners: defined for one-pixel sizes too.
    grid = (2 * at + 1) / at.new_tensor([width, height]) - 1
    return F.grid_sample(image, grid, align_corners=False)


def upsample_convex(flow: Tensor, mask: Tensor) -> Tensor:
    """Eight times the size, each pixel a convex combination of 3x3 coarse ones (RAFT §3.3).

    flow: (N, 2, H, W). mask: (N, 9 * 64, H, W), logits. Returns (N, 2, 8 H, 8 W), in px of that size.
    """
    n, _, height, width = flow.shape
    # Channels last, as the mask comes out of its convolution: 64 at a time, and nothing is moved before the end.
    shares = mask.permute(0, 2, 3, 1).reshape(n, height, width, 9, 1, 64).softmax(3).unbind(3)
    around = F.unfold(8 * flow, 3, padding=1).view(n, 2, 9, height, width)
    neighbors = around.permute(0, 3, 4, 2, 1).unsqueeze(5).unbind(3)
    # One neighbor at a time: all nine at once would hold nine full-size flows.
    combined = shares[0] * neighbors[0]
    for share, neighbor in zip(shares[1:], neighbors[1:], strict=True):
        combined += share * neighbor
    fine = combined.view(n, height, width, 2, 8, 8).permute(0, 3, 1, 4, 2, 5)
    return fine.reshape(n, 2, 8 * height, 8 * width)


def sample(planes: Tensor, flow: Tensor, mode: str = "bicubic") -> Tensor:
    """`planes` at p + flow(p), the border repeated. mode: bicubic or bilinear."""
    height, width = planes.shape[-2:]
    x = flow[:, 0] + torch.arange(width, device=flow.device, dtype=flow.dtype)
    y = flow[:, 1] + torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], -1)
    return F.grid_sample(planes, grid, mode, "border", align_corners=True)


# Everything of the network divides the frame by this; frames are padded to a multiple of it.
MULTIPLE = 16


def pad_to_multiple(planes: Tensor) -> Tensor:
    """(N, C, H, W) with its border repeated right and below, up to multiples of 16."""
    height, width = planes.shape[-2:]
    right, below = -width % MULTIPLE, -height % MULTIPLE
    return F.pad(planes, (0, right, 0, below), mode="replicate") if right or below else planes


def downsample(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """A frame (N, C, H, W) at a smaller size, without aliasing: lines of a large frame must not break up."""
    if frame.shape[-2:] == size:
        return frame
    return F.interpolate(frame, size, mode="bilinear", antialias=True)


def swap_directions(planes: Tensor) -> Tensor:
    """Planes of frames 0 and 1, or of the ways there and back, (2N, …): those of frames 1 and 0."""
    return torch.cat(planes.chunk(2)[::-1])


def resize_area(planes: Tensor, size: tuple[int, ...]) -> Tensor:
    """The mean over each pixel of a smaller `size` that divides that of planes (N, C, H, W)."""
    return F.avg_pool2d(planes, planes.shape[-1] // size[1])


MIN_SIZE = 16
