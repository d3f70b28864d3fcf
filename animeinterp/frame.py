"""The picture contract: what a frame is, and the exact way between frames and planes of numbers.

A frame is a numpy array, uint8 or uint16, of shape

    (H, W) gray    (H, W, 2) gray + alpha    (H, W, 3) RGB    (H, W, 4) RGB + alpha

with straight (not premultiplied) alpha last. Planes are float32 (C, H, W) in [0, 1], premultiplied where
there is alpha, because only premultiplied colors may be averaged: a warp that mixes a drawn pixel with an
empty one would otherwise draw a fringe in the color that happens to lie under the empty one.

`from_planes(to_planes(frame), frame)` gives every frame back exactly, except colors under alpha 0, which
nobody can see and which premultiplication loses.
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
MAX_SIDE = 32_766  # px; OpenCV's remap counts sides in 16 bits
_MODES = {1: "gray", 2: "gray+alpha", 3: "RGB", 4: "RGBA"}
_MID_GREY = 128


@dataclass(frozen=True, slots=True)
class Mode:
    """What the pixels of a frame hold.

    Attributes:
        color: Whether they are RGB; otherwise gray.
        alpha: Whether they have alpha.
        depth: Bits of a channel, 8 or 16.
    """

    color: bool
    alpha: bool
    depth: int

    def __or__(self, other: Mode) -> Mode:
        """The poorest mode that holds both."""
        return Mode(self.color or other.color, self.alpha or other.alpha, max(self.depth, other.depth))

    @property
    def channels(self) -> int:
        """How many channels a frame of this mode has: 1, 2, 3 or 4."""
        return (3 if self.color else 1) + self.alpha


def copied(frame: AnyFrame) -> AnyFrame:
    """A copy of a frame, of its type."""
    return cast(AnyFrame, frame.copy())


def channels(frame: Frame) -> int:
    """How many channels a frame has: 1, 2, 3 or 4."""
    return 1 if frame.ndim == 2 else frame.shape[2]


def has_alpha(frame: Frame) -> bool:
    """Whether the last channel of a frame is alpha."""
    return channels(frame) in (2, 4)


def mode_of(frame: Frame) -> Mode:
    """The mode of a frame."""
    return Mode(channels(frame) > 2, has_alpha(frame), 8 * frame.dtype.itemsize)


def describe(frame: Frame) -> str:
    """A frame in words for messages, such as `8-bit RGB 960x540`."""
    height, width = frame.shape[:2]
    return f"{frame.dtype.itemsize * 8}-bit {_MODES[channels(frame)]} {width}x{height}"


def check_size(width: int, height: int, max_pixels: int, name: str = "the frame") -> None:
    """Raise FrameError unless a frame of this size can be worked on."""
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
    """Raise FrameError unless `frame` keeps the picture contract (see the module's docstring).

    max_pixels: most pixels that are accepted, as in `Options.max_pixels`. name: what messages call the frame.
    """
    if not isinstance(frame, np.ndarray):
        raise FrameError(f"{name} is a {type(frame).__name__}; expected a numpy array (H, W, 3), so convert it first")
    if frame.dtype not in (np.uint8, np.uint16):
        raise FrameError(f"{name} holds {frame.dtype}; expected uint8 or uint16, so scale and round it first")
    if frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] not in (2, 3, 4)):
        raise FrameError(f"{name} has shape {frame.shape}; expected (H, W) or (H, W, 2 to 4), so put the channels last")
    check_size(frame.shape[1], frame.shape[0], max_pixels, name)


def check_pair(frame0: Frame, frame1: Frame, names: tuple[str, str] = ("frame 0", "frame 1")) -> None:
    """Raise FrameError unless two frames have the same size, mode and depth."""
    if frame0.shape != frame1.shape or frame0.dtype != frame1.dtype:
        raise FrameError(
            f"{names[0]} is {describe(frame0)} but {names[1]} is {describe(frame1)}; "
            "expected the same size, mode and depth, so convert one to match the other"
        )


def check_time(t: object) -> float:
    """The time as a float; UsageError unless it is a number in [0, 1]."""
    if not isinstance(t, Real) or not 0 <= float(t) <= 1:  # NaN compares false
        raise UsageError(f"expected a time t from 0 (the first frame) to 1 (the second), got {t}; 0.5 is the middle")
    return float(t)


def rgb8(frame: Frame) -> NDArray[np.uint8]:
    """What the analysis looks at: (H, W, 3) uint8 RGB.

    16 bits are rounded exactly to 8, gray is replicated, alpha is laid over mid-gray (128), against which
    dark and light outlines both stand out.
    """
    if frame.dtype == np.uint16:
        # x / 257 rounded; 257 is odd, so there are no ties
        frame = ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)
    count = channels(frame)
    planes = frame.reshape(*frame.shape[:2], count)
    color = planes[..., :1] if count < 3 else planes[..., :3]
    if has_alpha(frame):
        alpha = planes[..., -1:].astype(np.uint32)
        color = ((color * alpha + _MID_GREY * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(color, (*frame.shape[:2], 3)))


def with_color(frame: Frame) -> Frame:
    """A frame as RGB or RGBA: gray is replicated, (H, W) → (H, W, 3) and (H, W, 2) → (H, W, 4)."""
    if channels(frame) > 2:
        return frame
    planes = frame.reshape(*frame.shape[:2], channels(frame))
    colored: Frame = planes[..., [0, 0, 0, *range(1, planes.shape[2])]]
    return colored


def widened(frame: Frame, mode: Mode) -> Frame:
    """A frame in a richer mode, without loss: gray is replicated, missing alpha is opaque, 8 bits become 16.

    Args:
        frame: The frame.
        mode: Holds at least what the frame has, such as `mode_of(frame) | mode_of(other)`.

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
    """A frame as float32 (C, H, W) in [0, 1], premultiplied if it has alpha."""
    # OpenCV tells channels apart in a third of the time that numpy takes to transpose them.
    planes = np.stack(cv2.split(frame)).astype(np.float32)
    planes /= np.iinfo(frame.dtype).max
    if has_alpha(frame):
        planes[:-1] *= planes[-1]
    return planes


def from_planes(planes: NDArray[np.floating], like: AnyFrame) -> AnyFrame:
    """The frame that planes stand for, in the depth, mode and size of `like`.

    planes: (C, H, W), premultiplied if `like` has alpha; values outside [0, 1] are clipped. Rounds to the
    nearest: truncation would make every new frame half a step darker than the drawings beside it.
    Raises FrameError if channels or size differ from those of `like`.
    """
    expected = (channels(like), *like.shape[:2])
    if planes.shape != expected:
        raise FrameError(f"planes have shape {planes.shape}; expected {expected}, channels first")
    values = np.clip(planes, 0, 1).astype(np.float32, copy=False)
    if has_alpha(like):
        alpha = values[-1]
        # where alpha is 0 nothing is seen: black
        values[:-1] /= np.where(alpha > 0, alpha, np.inf)
        np.minimum(values[:-1], 1, out=values[:-1])
    values *= np.iinfo(like.dtype).max
    whole = np.rint(values, out=values).astype(like.dtype)
    return cast(AnyFrame, cv2.merge(list(whole)).reshape(like.shape))


def at_working_size(picture: NDArray[np.uint8], working_pixels: int) -> NDArray[np.uint8]:
    """The picture, made smaller if it has more than `working_pixels`, its shape kept."""
    height, width = picture.shape[:2]
    scale = (working_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return picture
    size = max(MIN_SIDE, round(width * scale)), max(MIN_SIDE, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
