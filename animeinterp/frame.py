"""What a frame is, and the exact conversion between frames and planes of floats.

A frame is a numpy array, uint8 or uint16, of shape

    (H, W) gray    (H, W, 2) gray + alpha    (H, W, 3) RGB    (H, W, 4) RGB + alpha

with straight (not premultiplied) alpha last. Planes are float32 (C, H, W) in [0, 1], premultiplied if there is alpha,
because only premultiplied colors may be averaged: a warp that mixes an opaque pixel with a transparent one would
otherwise draw a fringe in the invisible color of the latter.

`from_planes(to_planes(frame), frame)` returns every frame exactly, except for invisible colors (alpha 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from animeinterp.errors import FrameError, UsageError

Frame = NDArray[np.uint8] | NDArray[np.uint16]
RGBImage = NDArray[np.uint8]  # (H, W, 3)
# A frame of 8 or 16 bits whose type the result shares.
AnyFrame = TypeVar("AnyFrame", bound=Frame)
AnyFrame_co = TypeVar("AnyFrame_co", bound=Frame, default=Frame, covariant=True)

MIN_SIDE = 16  # px; smaller frames have no segments worth matching and no 1/8-size features
MAX_SIDE = 32_766  # px; OpenCV's remap has 16-bit sides
_MODES = {1: "gray", 2: "gray+alpha", 3: "RGB", 4: "RGBA"}
_MID_GRAY = 128


@dataclass(frozen=True, slots=True)
class Mode:
    """Channels and depth of a frame.

    Attributes:
        color: True for RGB, False for gray.
        alpha: Whether there is an alpha channel.
        depth: Bits per channel, 8 or 16.
    """

    color: bool
    alpha: bool
    depth: int

    def __or__(self, other: Mode) -> Mode:
        """Return the smallest mode that holds both."""
        return Mode(self.color or other.color, self.alpha or other.alpha, max(self.depth, other.depth))

    @property
    def channels(self) -> int:
        """Number of channels: 1, 2, 3 or 4."""
        return (3 if self.color else 1) + self.alpha


def copied(frame: AnyFrame) -> AnyFrame:
    """Copy a frame, keeping its static type."""
    return cast(AnyFrame, frame.copy())


def channels(frame: Frame) -> int:
    """Return the number of channels of a frame: 1, 2, 3 or 4."""
    return 1 if frame.ndim == 2 else frame.shape[2]


def has_alpha(frame: Frame) -> bool:
    """Tell whether the last channel of a frame is alpha."""
    return channels(frame) in (2, 4)


def mode_of(frame: Frame) -> Mode:
    """Return the mode of a frame."""
    return Mode(channels(frame) > 2, has_alpha(frame), 8 * frame.dtype.itemsize)


def describe(frame: Frame) -> str:
    """Describe a frame for messages, such as `8-bit RGB 960x540`."""
    height, width = frame.shape[:2]
    return f"{frame.dtype.itemsize * 8}-bit {_MODES[channels(frame)]} {width}x{height}"


def check_size(width: int, height: int, max_pixels: int, name: str = "the frame") -> None:
    """Check that frames of a size can be processed.

    Args:
        width: px.
        height: px.
        max_pixels: Largest number of pixels, as in `Options.max_pixels`.
        name: How messages call the frame.

    Raises:
        FrameError: The size is too small or too large.
    """
    if min(width, height) < MIN_SIDE:
        raise FrameError(
            f"{name} is {width}x{height}; expected at least {MIN_SIDE}x{MIN_SIDE} pixels, so give a larger drawing"
        )
    if max(width, height) > MAX_SIDE:
        raise FrameError(f"{name} is {width}x{height}; expected at most {MAX_SIDE:,} px a side, so cut it into parts")
    if width * height > max_pixels:
        raise FrameError(
            f"{name} is {width}x{height}, {width * height:,} pixels; the limit is {max_pixels:,}, "
            "so make it smaller or raise max_pixels (--max-pixels of tween, explain, video)"
        )


def check_frame(frame: object, max_pixels: int, name: str = "the frame") -> None:
    """Check that an object is a frame (see the module's docstring) that can be processed.

    Args:
        frame: Any object.
        max_pixels: Largest number of pixels, as in `Options.max_pixels`.
        name: How messages call the frame.

    Raises:
        FrameError: It is not such a frame.
    """
    if not isinstance(frame, np.ndarray):
        raise FrameError(f"{name} is a {type(frame).__name__}; expected a numpy array (H, W, 3), so convert it first")
    if frame.dtype not in (np.uint8, np.uint16):
        raise FrameError(f"{name} holds {frame.dtype}; expected uint8 or uint16, so scale and round it first")
    if frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] not in (2, 3, 4)):
        raise FrameError(f"{name} has shape {frame.shape}; expected (H, W) or (H, W, 2 to 4), so put the channels last")
    check_size(frame.shape[1], frame.shape[0], max_pixels, name)


def check_pair(frame0: Frame, frame1: Frame, names: tuple[str, str] = ("frame 0", "frame 1")) -> None:
    """Check that two frames have the same size, mode and depth.

    Args:
        frame0: First frame.
        frame1: Second frame.
        names: How messages call them.

    Raises:
        FrameError: They differ.
    """
    if frame0.shape != frame1.shape or frame0.dtype != frame1.dtype:
        raise FrameError(
            f"{names[0]} is {describe(frame0)} but {names[1]} is {describe(frame1)}; "
            "expected the same size, mode and depth, so convert one to match the other"
        )


def check_time(t: object) -> float:
    """Convert a time to a float.

    Args:
        t: Any object.

    Returns:
        A float in [0, 1].

    Raises:
        UsageError: It is not a number in [0, 1].
    """
    if not isinstance(t, Real) or not 0 <= float(t) <= 1:  # NaN compares false
        raise UsageError(f"expected a time t from 0 (the first frame) to 1 (the second), got {t}; 0.5 is the middle")
    return float(t)


def rgb8(frame: Frame) -> RGBImage:
    """Convert a frame to the uint8 (H, W, 3) RGB image that is analyzed.

    16 bits are rounded to 8, gray is replicated, and alpha is composited over mid-gray (128), which contrasts with dark
    and with light outlines.
    """
    if frame.dtype == np.uint16:
        # x / 257 rounded; 257 is odd, so there are no ties
        frame = ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)
    count = channels(frame)
    planes = frame.reshape(*frame.shape[:2], count)
    color = planes[..., :1] if count < 3 else planes[..., :3]
    if has_alpha(frame):
        alpha = planes[..., -1:].astype(np.uint32)
        color = ((color * alpha + _MID_GRAY * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(color, (*frame.shape[:2], 3)))


def composited(frame: Frame, background: int | NDArray[np.integer] = 255) -> RGBImage:
    """Composite a frame over a background, for display.

    Args:
        frame: Any frame.
        background: Its levels, 0 to 255: one for all, or those of pixels (H, W).

    Returns:
        uint8 (H, W, 3) RGB; a frame without alpha hides the background.
    """
    if not has_alpha(frame):
        return rgb8(frame)
    planes = to_planes(frame)
    behind = np.asarray(background, np.float32) / np.float32(255)
    over = np.broadcast_to(planes[:-1] + (1 - planes[-1]) * behind, (3, *frame.shape[:2]))
    return np.ascontiguousarray(np.rint(255 * over).astype(np.uint8).transpose(1, 2, 0))


def with_color(frame: Frame) -> Frame:
    """Convert a frame to RGB or RGBA: gray is replicated, (H, W) → (H, W, 3) and (H, W, 2) → (H, W, 4)."""
    if channels(frame) > 2:
        return frame
    planes = frame.reshape(*frame.shape[:2], channels(frame))
    colored: Frame = planes[..., [0, 0, 0, *range(1, planes.shape[2])]]
    return colored


def widened(frame: Frame, mode: Mode) -> Frame:
    """Convert a frame to a richer mode without loss: gray is replicated, missing alpha is opaque, 8 bits become 16.

    Args:
        frame: The frame.
        mode: At least the mode of the frame, such as `mode_of(frame) | mode_of(other)`.

    Returns:
        A frame of the same size; `frame` itself if it has this mode already.
    """
    if mode.color:
        frame = with_color(frame)
    if mode.depth == 16 and frame.dtype == np.uint8:
        frame = frame.astype(np.uint16) * np.uint16(257)
    if mode.alpha and not has_alpha(frame):
        opaque = np.full((*frame.shape[:2], 1), np.iinfo(frame.dtype).max, frame.dtype)
        frame = np.concatenate([frame.reshape(*frame.shape[:2], -1), opaque], axis=2)
    return frame


def to_planes(frame: Frame) -> NDArray[np.float32]:
    """Convert a frame to float32 (C, H, W) in [0, 1], premultiplied if it has alpha.

    In memory the channels of a pixel lie together, as in the frame and as the CPU kernels read them.
    """
    pixels = frame.reshape(*frame.shape[:2], channels(frame)).astype(np.float32)
    pixels /= np.iinfo(frame.dtype).max
    if has_alpha(frame):
        pixels[..., :-1] *= pixels[..., -1:]
    return pixels.transpose(2, 0, 1)


def from_planes(planes: NDArray[np.floating], like: AnyFrame) -> AnyFrame:
    """Convert planes to a frame, rounding to the nearest level: truncation would darken it by half a level.

    Args:
        planes: (C, H, W), premultiplied if `like` has alpha; values outside [0, 1] are clipped.
        like: A frame of the wanted size, mode and depth.

    Returns:
        A frame like `like`.

    Raises:
        FrameError: Channels or size differ from those of `like`.
    """
    expected = (channels(like), *like.shape[:2])
    if planes.shape != expected:
        raise FrameError(f"planes have shape {planes.shape}; expected {expected}, channels first")
    values = np.clip(planes, 0, 1).astype(np.float32, copy=False)
    if has_alpha(like):
        alpha = values[-1]
        # Invisible pixels become black.
        values[:-1] /= np.where(alpha > 0, alpha, np.inf)
        np.minimum(values[:-1], 1, out=values[:-1])
    values *= np.iinfo(like.dtype).max
    whole = np.rint(values, out=values).astype(like.dtype)
    pixels = whole.transpose(1, 2, 0)
    # OpenCV merges planes several times as fast as numpy copies them, where they do not lie together already.
    return cast(AnyFrame, (pixels if pixels.flags.c_contiguous else cv2.merge(list(whole))).reshape(like.shape))


def at_working_size(image: RGBImage, working_pixels: int) -> RGBImage:
    """Downscale an image that has more than `working_pixels`, keeping its aspect ratio."""
    height, width = image.shape[:2]
    scale = (working_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return image
    size = max(MIN_SIDE, round(width * scale)), max(MIN_SIDE, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
