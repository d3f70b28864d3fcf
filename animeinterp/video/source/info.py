"""What a film is: what has to be known of it before its frames are read, and kept in what is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from animeinterp.frame import Frame, Mode
from animeinterp.video.source.clock import Clock
from animeinterp.video.source.telecine import Fields


@dataclass(frozen=True, slots=True)
class ColorInfo:
    """How a film's numbers are to be read, as the codes of ITU-T H.273; 2 (or range 0) = the file does not say.

    primaries, transfer, matrix: codes. range: 1 = limited ("tv"), 2 = full ("pc"), as FFmpeg counts.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A film as its file describes it, without its frames.

    path: the file, or a folder of frames. width, height: px, as stored, before rotation. rate: frames per second of
    the clock that its frames stand on. start: when its first frame is shown, in s of its clock, which its sound shares.
    duration: of its pictures, s. frames: how many, about. pix_fmt: FFmpeg's name of its pixels. depth: 8 or
    16 bits that a frame in memory has. alpha: whether it is partly transparent. color: see `ColorInfo`. aspect: width
    of
    a pixel by its height. rotation: degrees, counterclockwise, that players turn it by. mirrored: whether they
    mirror it left to right afterwards. mastering, light: HDR10's static metadata, FFmpeg's side data as they are in
    memory. notes: what was assumed about it, as sentences. mode: of the frames of a folder. webp: whether it is an
    animated WebP. matrix: the one that is used whatever the tags and the size say, as swscale numbers it; 0 = see
    `color.choose_matrix`. headroom: whether luma outside the limited range is kept; uses_chroma_location: whether
    chroma is read from where the file says that it lies; see
    `animeinterp.video.source.color` for both. fields, top_first: how fields were
    joined in its frames, see `telecine`. clock: how times in the file are to be read.
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
        """Whether it is a folder of frames."""
        return self.path.is_dir()

    @property
    def has_streams(self) -> bool:
        """Whether it is a file that FFmpeg reads, which may hold sound and more beside the frames."""
        return not self.is_folder and not self.webp


@dataclass(frozen=True, slots=True, eq=False)
class TimedFrame:
    """One frame of a film: the picture that stands from `time` on.

    number: counted from 0 in order of showing. time: s since the film's first frame. frame: see `animeinterp.frame`.
    held: whether frames before it could not be decoded, so that the one before them stood longer.
    """

    number: int
    time: Fraction
    frame: Frame
    after_damage: bool = False
