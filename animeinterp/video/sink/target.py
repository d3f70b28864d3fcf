"""The target of a run: a video with the source's other streams, an animated image, or a folder of frames."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from animeinterp.config import Options
from animeinterp.errors import UsageError
from animeinterp.frame import Frame, check_size
from animeinterp.io.files import check_no_pattern, check_target
from animeinterp.video.compare import Compare
from animeinterp.video.sink.animated import check_animation, write_animation
from animeinterp.video.sink.encoders import ANIMATED, Encoder, choose_container, choose_encoder
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.sink.frame_sink import FrameSink
from animeinterp.video.sink.muxing import FilmLayout, check_streams, join_segments
from animeinterp.video.sink.tracks import SoundAction
from animeinterp.video.source.color import choose_matrix
from animeinterp.video.source.geometry import describe_upright, make_upright
from animeinterp.video.source.info import VideoInfo
from animeinterp.video.timeline import Grid


@dataclass(frozen=True, slots=True)
class Output:
    """How a target is made.

    Attributes:
        target: Its file or folder.
        source: The source as its file describes it.
        film: Size, pixel format and color of the new film's frames.
        turned: Whether frames are turned upright, see `shape`.
        square: Whether pixels are made square, see `shape`.
        grid: The times of the new frames.
        encoder: The encoder of the segments; None for a folder of frames.
        sound: What happens to audio.
        dropped: Sentences on what of the source the target cannot hold.
    """

    target: Path
    source: VideoInfo
    film: VideoInfo
    turned: bool
    square: bool
    grid: Grid
    encoder: Encoder | None
    sound: SoundAction
    dropped: list[str] = field(default_factory=list)

    def shape(self, frame: Frame) -> Frame:
        """Return a frame of the source as the target holds it.

        Folders and animated images cannot store a rotation or a pixel aspect ratio, and frames shown side by side with
        labels have to be upright.
        """
        return make_upright(frame, self.source, square=self.square) if self.turned else frame

    def make(self, sink: FrameSink, end: Fraction, path: Path) -> int:
        """Write the complete film, unless the target is a folder of frames.

        Args:
            sink: The finished segments.
            end: End of the source, s.
            path: The file to write, with the target's suffix.

        Returns:
            The number of damaged packets of other streams that were left out.
        """
        assert self.encoder is not None
        if self.encoder.container in ANIMATED:
            write_animation(path, sink.read_back, self.grid.rate)
            return 0
        layout = FilmLayout(
            self.film,
            self.grid.rate,
            self.encoder,
            source=self.film.path if self.film.has_streams else None,
            stretch=self.grid.slow,
            sound=self.sound,
            start=self.grid.begin,
            end=None if self.grid.end is None else min(end, self.grid.end),
        )
        return join_segments(path, sink.store.list_parts(), layout)


def plan_output(
    target: Path,
    source: VideoInfo,
    grid: Grid,
    encoding: Encoding,
    sound: SoundAction,
    *,
    compare: Compare | None = None,
    max_pixels: int = Options().max_pixels,
) -> Output:
    """Decide how to make a target of a film.

    Args:
        target: Its file or folder.
        source: The film.
        grid: The times of the new frames.
        encoding: What the user requests.
        sound: What to do with audio.
        compare: Whether the source is shown too, see `animeinterp.video.compare`.
        max_pixels: The largest allowed area of a frame, px.

    Raises:
        UsageError: The name or the encoding is invalid.
        FrameError: Frames would be too large.
    """
    check_no_pattern(target, "frames are numbered automatically in a folder, so give a name without suffix, as")
    bare = not target.suffix or choose_container(target) in ANIMATED
    turned = bare or source.mirrored or compare is not None
    film = describe_upright(source, square=bare) if turned else source
    check_size(film.width, film.height, max_pixels, f"a frame of {target}")
    film = replace(film, width=2 * film.width) if compare == "side" else film
    film = replace(film, matrix_override=choose_matrix(source)) if turned else film  # the size must not change it
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
