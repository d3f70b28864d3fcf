"""Describe a film: what must be known before its frames are read, and preserved in the output."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from animeinterp.frame import Frame, Mode
from animeinterp.video.source.clock import Clock
from animeinterp.video.source.telecine import Fields


@dataclass(frozen=True, slots=True)
class ColorInfo:
    """How the samples of a film encode colors, as codes of ITU-T H.273; 2 = unspecified.

    Attributes:
        primaries: Code of the color primaries.
        transfer: Code of the transfer characteristics.
        matrix: Code of the matrix coefficients.
        range: FFmpeg's number: 0 = unspecified, 1 = limited ("tv"), 2 = full ("pc").
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A film as its file describes it, without its frames.

    Attributes:
        path: The file, or a folder of frames.
        width: Width as stored, before rotation, px.
        height: Height as stored, before rotation, px.
        rate: Rate of the clock that the frames keep, frames per second.
        start: Time of the first frame on the film's clock, which its audio shares, s.
        duration: Duration of the video, s.
        frames: Number of frames, approximate.
        pix_fmt: FFmpeg's name of the pixel format.
        depth: Bits of a frame in memory, 8 or 16.
        alpha: Whether the film has alpha.
        color: Color tags.
        aspect: Width of a stored pixel divided by its height.
        rotation: Rotation by players, degrees counterclockwise.
        mirrored: Whether players mirror the film left to right after the rotation.
        mastering_display: HDR10's mastering display, FFmpeg's side data; None if absent.
        content_light: HDR10's content light level, FFmpeg's side data; None if absent.
        notes: Assumptions about the film, as sentences for the user.
        mode: Mode of the frames of a folder; None for files.
        webp: Whether the film is an animated WebP.
        matrix_override: swscale's number of the matrix to use despite tags and size; 0 = see `color.choose_matrix`.
        headroom: Whether luma outside the limited range is preserved, see `animeinterp.video.source.color`.
        uses_chroma_location: Whether the file's chroma location is honored, see `animeinterp.video.source.color`.
        fields: Field structure that reading undoes, see `animeinterp.video.source.telecine`.
        top_first: Whether the top field comes first.
        clock: Maps times in the file to those of the film.
    """

    path: Path
    width: int
    height: int
    rate: Fraction
    start: Fraction
    duration: Fraction
    frames: int
    pix_fmt: str
    depth: int = 8
    alpha: bool = False
    color: ColorInfo = ColorInfo()
    aspect: Fraction = Fraction(1)
    rotation: int = 0
    mirrored: bool = False
    mastering_display: bytes | None = None
    content_light: bytes | None = None
    notes: tuple[str, ...] = ()
    mode: Mode | None = None
    webp: bool = False
    matrix_override: int = 0
    headroom: bool = False
    uses_chroma_location: bool = True
    fields: Fields = "progressive"
    top_first: bool = True
    clock: Clock = field(default_factory=Clock, compare=False)

    @property
    def is_folder(self) -> bool:
        """Whether the film is a folder of frames."""
        return self.path.is_dir()

    @property
    def has_streams(self) -> bool:
        """Whether FFmpeg reads the film from a file, which may hold audio and more beside the frames."""
        return not self.is_folder and not self.webp


@dataclass(frozen=True, slots=True, eq=False)
class TimedFrame:
    """One frame of a film, shown from `time` on.

    Attributes:
        number: Number in presentation order, from 0.
        time: Time since the film's first frame, s.
        frame: The image, see `animeinterp.frame`.
        after_damage: Whether frames before it could not be decoded, so that the previous frame is shown longer.
    """

    number: int
    time: Fraction
    frame: Frame
    after_damage: bool = False
