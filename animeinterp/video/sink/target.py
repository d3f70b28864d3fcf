"""What the parts of a film become: a video with all else that the source held, an animated picture, or a folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from animeinterp.config import Options
from animeinterp.errors import UsageError
from animeinterp.frame import Frame, check_size
from animeinterp.io.files import check_no_pattern, check_target
from animeinterp.video.compare import Compare
from animeinterp.video.sink.animated import animate, check_animation
from animeinterp.video.sink.encoders import ANIMATED, Encoder, Encoding, choose_encoder, container_of
from animeinterp.video.sink.frame_sink import FrameSink
from animeinterp.video.sink.muxing import check_streams, join
from animeinterp.video.source.color import choose_matrix
from animeinterp.video.source.geometry import describe_upright, make_upright
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.timeline import Grid

Sound = Literal["copy", "stretch", "drop"]


@dataclass(frozen=True, slots=True)
class Output:
    """How a target is made. film: what its frames look like. turned, square: whether frames are turned upright, and
    their pixels made square, see `shaped`. encoder: of the parts; None for a folder of frames. dropped: what of the
    source it cannot hold, as sentences."""

    target: Path
    source: VideoInfo
    film: VideoInfo
    turned: bool
    square: bool
    grid: Grid
    encoder: Encoder | None
    sound: Sound
    dropped: list[str] = field(default_factory=list)

    def shaped(self, frame: Frame) -> Frame:
        """A frame of the source's shape as the target holds it.

        Folders and animated pictures cannot say how they are to be turned and how wide a pixel is; and two frames side
        by side, with labels, have to be upright.
        """
        return make_upright(frame, self.source, square=self.square) if self.turned else frame

    def make(self, sink: FrameSink, end: Fraction, path: Path) -> int:
        """Write the whole film to `path`, which has the target's suffix; a folder of frames is not made so.

        end: when the source ends, s. Returns how many damaged packets of sound are left out.
        """
        assert self.encoder is not None
        if self.encoder.container in ANIMATED:
            animate(path, sink.read_back, self.grid.rate)
        else:
            stop = end if self.grid.end is None else min(end, self.grid.end)
            return join(
                path,
                sink.store.list_parts(),
                self.film,
                self.grid.rate,
                self.encoder,
                source=self.film.path if self.film.has_streams else None,
                stretch=self.grid.slow,
                sound=self.sound,
                start=self.grid.begin,
                end=None if self.grid.end is None else stop,
            )
        return 0


def plan_output(
    target: Path,
    source: VideoInfo,
    grid: Grid,
    encoding: Encoding,
    sound: Sound,
    *,
    compare: Compare | None = None,
    max_pixels: int = Options().max_pixels,
) -> Output:
    """How to make `target` of a film. compare: whether the source is shown too, see `compare.beside`.

    Raises UsageError for a name or an encoding that cannot be, FrameError for frames that are too large.
    """
    check_no_pattern(target, "frames are numbered by themselves in a folder, so give a name without suffix, as")
    bare = not target.suffix or container_of(target) in ANIMATED
    turned = bare or source.mirrored or compare is not None
    film = describe_upright(source, square=bare) if turned else source
    check_size(film.width, film.height, max_pixels, f"a frame of {target}")
    film = replace(film, width=2 * film.width) if compare == "side" else film
    film = replace(film, matrix_override=choose_matrix(source)) if turned else film  # another size must not change it
    encoder = choose_encoder(target, film, encoding, grid.rate) if target.suffix else None
    if encoder is not None and encoder.container in ANIMATED:
        check_animation(target, film.width, film.height, grid.rate)
    dropped: list[str] = []
    if bare or not source.has_streams:
        sound = "drop"
    else:
        dropped = check_streams(source.path, target, sound=sound, stretch=grid.slow)
    return Output(target, source, film, turned, bare, grid, encoder, sound, dropped)


def check_free(target: Path, force: bool) -> None:
    """Raise unless the target can be written: UsageError if it exists and not `force`, FileError for its folder."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder that exists already; choose another name")
    check_target(target, force)
