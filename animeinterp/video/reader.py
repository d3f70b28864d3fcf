"""Reading a film: what it is, and its frames one by one with the times at which they are shown.

Timestamps decide, not frame numbers: a variable frame rate, a gap and a packet that cannot be decoded all end in frames
that stand longer. What is damaged is counted, and the film keeps its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import VideoReformatter

from animeinterp.errors import FileError, UsageError
from animeinterp.frame import check_size
from animeinterp.options import Options
from animeinterp.video.colour import ColourPath
from animeinterp.video.film import Colour, Film, Shown
from animeinterp.video.folder import FOLDER_RATE, folder_frames, probe_folder
from animeinterp.video.geometry import orientation_of
from animeinterp.video.webp import is_webp_file, probe_webp, webp_frames

_LOOKED_AT = 12  # frames, to see whether a film is interlaced
_PATIENCE = 100  # times in a row that nothing can be read
_ROUNDED = Fraction(1, 1_000_000)
_MAX_PIXELS = Options().max_pixels
_DURATION = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


def probe(
    path: Path, *, rate: Fraction | None = None, deinterlace: bool = False, max_pixels: int = _MAX_PIXELS
) -> Film:
    """What a film is. path: a file, or a folder of frames, which has `rate` frames per second (24).

    Raises FileError for what cannot be read or holds no pictures; UsageError for a rate given to a file, interlaced
    pictures that are not to be deinterlaced, and sizes that cannot be worked on.
    """
    if path.is_dir():
        return probe_folder(path, rate, max_pixels)
    if rate is not None:
        raise UsageError(f"{path} has a frame rate of its own; leave out the one for folders of frames")
    if path.is_file() and is_webp_file(path):
        return probe_webp(path, max_pixels)
    with open_film(path) as container:
        stream = pictures_of(container, path)
        first = _first_frames(container, stream, path)
        if not deinterlace and 2 * sum(frame.interlaced_frame for frame in first) > len(first):
            raise UsageError(f"{path} is interlaced; give --deinterlace to make whole frames of its fields first")
        film = _describe(path, stream, first[0])
    check_size(film.width, film.height, max_pixels, str(path))
    return film


def open_film(path: Path) -> Any:
    """The file as PyAV's container, to be closed. Raises FileError if FFmpeg cannot read it."""
    if not path.exists():
        raise FileError(f"expected a film at {path}, found nothing; give the name of a file or of a folder of frames")
    try:
        return av.open(path)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise FileError(f"{path} is no film that FFmpeg can read ({error}); give a video file") from error


def pictures_of(container: Any, path: Path) -> Any:
    """The video stream, cover art left aside. Raises FileError if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise FileError(f"{path} holds no moving pictures; expected a video stream, so give another file")


class Reader:
    """The frames of a film, in order; iterate once.

    damaged: how many frames could not be decoded so far. end: when the film ends, s since its first frame; known when
    all frames have come.
    """

    def __init__(
        self,
        film: Film,
        *,
        deinterlace: bool = False,
        start: Fraction = Fraction(0),
        max_pixels: int = _MAX_PIXELS,
    ) -> None:
        """start: frames that stand before this time, s, may be left out, so that a preview begins soon."""
        self.film = film
        self.damaged = 0
        self.end = film.duration
        self._deinterlace, self._start, self._max_pixels = deinterlace, start, max_pixels

    def __iter__(self) -> Iterator[Shown]:
        """Frames with rising times. Raises FileError if not one of them can be read."""
        if self.film.is_folder:
            yield from folder_frames(self.film, self._start, self._max_pixels)
        elif self.film.webp:
            yield from webp_frames(self.film, self._start, self._max_pixels, self._lose)
        else:
            yield from self._of_file()

    def _lose(self, count: int) -> None:
        self.damaged += count

    def _of_file(self) -> Iterator[Shown]:
        film, path = self.film, ColourPath(self.film)
        usual = 1 / film.rate
        last, number, lost = -usual, 0, self.damaged
        with open_film(film.path) as container:
            stream = pictures_of(container, film.path)
            stream.thread_type = "AUTO"
            if self._start > 1:
                container.seek(int((film.start + self._start - 1) / stream.time_base), stream=stream)
            for picture in self._deinterlaced(self._decoded(container, stream), stream):
                time = last + usual if picture.pts is None else _exact(picture, film)
                if time <= last:
                    continue  # a second picture for one time cannot be shown
                held = self.damaged > lost
                if held:
                    self.damaged = lost + max(1, round((time - last) * film.rate) - 1)
                yield Shown(number, time, path.to_frame(_of_size(picture, film)), held)
                last, number, lost = time, number + 1, self.damaged
                usual = picture.duration * picture.time_base or 1 / film.rate
        if not number and not self._start:
            raise FileError(f"{film.path}: not one frame could be decoded; give another file")
        self.end = last + usual
        missing = film.duration - self.end
        if missing > 1 / film.rate:
            self.damaged += round(missing * film.rate)
            self.end = film.duration

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """All pictures that can be decoded, whatever lies between them."""
        packets, failures = container.demux(stream), 0
        while failures < _PATIENCE:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                # The demuxer looks for the next packet that makes sense.
                self.damaged, failures = self.damaged + 1, failures + 1
                packets = container.demux(stream)
                continue
            failures = 0
            try:
                yield from (picture for picture in packet.decode() if not self._spoilt(picture))
            except av.FFmpegError:
                self.damaged += 1

    def _spoilt(self, picture: Any) -> bool:
        self.damaged += bool(picture.is_corrupt)
        return bool(picture.is_corrupt)

    def _deinterlaced(self, pictures: Iterator[Any], stream: Any) -> Iterator[Any]:
        if not self._deinterlace:
            yield from pictures
            return
        graph = av.filter.Graph()
        chain = graph.add_buffer(template=stream), graph.add("bwdif", "mode=send_frame"), graph.add("buffersink")
        graph.link_nodes(*chain).configure()
        for picture in pictures:
            graph.vpush(picture)
            yield from _pulled(graph)
        graph.vpush(None)
        yield from _pulled(graph)


def _exact(picture: Any, film: Film) -> Fraction:
    """A picture's time, s since the first one, without the rounding of the file's clock.

    Matroska counts ms: at 24 per second the second picture stands at 0.042 and not at 1/24, and next to a picture that
    exists a new one would be drawn.
    """
    time = Fraction(picture.pts * picture.time_base) - film.start
    regular = round(time * film.rate) / film.rate
    return regular if abs(time - regular) <= picture.time_base else time


def _pulled(graph: Any) -> Iterator[Any]:
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return


def _of_size(picture: Any, film: Film) -> Any:
    """A film may change its size on the way; what is drawn may not."""
    if (picture.width, picture.height) == (film.width, film.height):
        return picture
    return VideoReformatter().reformat(picture, width=film.width, height=film.height)


def _first_frames(container: Any, stream: Any, path: Path) -> list[Any]:
    frames: list[Any] = []
    packets = container.demux(stream)
    while len(frames) < _LOOKED_AT:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames += [frame for frame in packet.decode() if not frame.is_corrupt]
        except av.FFmpegError:
            continue
    if not frames:
        raise FileError(f"{path} holds not one frame that can be decoded; give another file")
    return frames


def _describe(path: Path, stream: Any, first: Any) -> Film:
    rate = _exact_rate(Fraction(stream.average_rate or stream.guessed_rate or FOLDER_RATE))
    start = Fraction(0) if first.pts is None else first.pts * first.time_base
    duration = _claimed_duration(stream)
    if duration is None:
        duration = stream.frames / rate
    rotation, mirrored = orientation_of(first)
    side = {str(data.type).rsplit(".", 1)[-1]: bytes(data) for data in first.side_data}
    return Film(
        path=path,
        width=first.width,
        height=first.height,
        rate=rate,
        start=start,
        duration=duration,
        frames=stream.frames or round(duration * rate),
        pix_fmt=first.format.name,
        depth=16 if first.format.components[0].bits > 8 else 8,
        alpha=any(component.is_alpha for component in first.format.components),
        colour=Colour(*(int(c) for c in (first.color_primaries, first.color_trc, first.colorspace, first.color_range))),
        aspect=Fraction(stream.sample_aspect_ratio or 1),
        rotation=rotation,
        mirrored=mirrored,
        mastering=side.get("MASTERING_DISPLAY_METADATA"),
        light=side.get("CONTENT_LIGHT_LEVEL"),
    )


def _exact_rate(rate: Fraction) -> Fraction:
    """A rate without what Matroska's counting in ns made of it: 19001/317 was 60000/1001."""
    for exact in (Fraction(round(rate)), Fraction(1000 * round(rate * 1001 / 1000), 1001)):
        if exact and abs(rate / exact - 1) < _ROUNDED:
            return exact
    return rate


def _claimed_duration(stream: Any) -> Fraction | None:
    if stream.duration is not None:
        return Fraction(stream.duration * stream.time_base)
    found = _DURATION.match(stream.metadata.get("DURATION", ""))
    if found is None:
        return None
    hours, minutes, seconds = (Fraction(part) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds
