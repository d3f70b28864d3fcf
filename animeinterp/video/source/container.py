"""Open a film's file: containers of films alone, the one file that was named, over no network.

FFmpeg guesses a file's kind from what is in it and opens playlists, scripts and lists of pictures too, which name
other files to read. Here it may open nothing but the demuxers of `_CONTAINERS`, from the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from animeinterp.errors import FileError
from animeinterp.io.files import check_source, ffmpeg_url

# What may be read, as FFmpeg calls its demuxers; all of them read one file and no other.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "ogg", "asf", "gif", "apng", "nut",
    "mxf", "gxf", "dv", "rm", "wtv", "nsv", "nuv", "ivf", "obu", "yuv4mpegpipe", "swf", "flic", "smk", "bink", "roq",
    "h264", "hevc", "vvc", "av1", "m4v", "mpegvideo", "h261", "h263", "vc1", "dirac", "mjpeg", "cavsvideo", "avs2",
)  # fmt: skip
_PATIENCE = 100  # errors in a row


def open_film(path: Path, max_pixels: int | None = None) -> Any:
    """Open a film.

    Args:
        path: Its file.
        max_pixels: Decoders refuse larger pictures; None = FFmpeg's own limit.

    Returns:
        The file as PyAV's container, to be closed.

    Raises:
        FileError: There is no such file, it can be read only once, or it is not a film.
    """
    if str(path) == "-":
        raise FileError("a film is read more than once, which standard input cannot be; save it as a file first")
    check_source(path, "a film")
    options = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "file"}
    if max_pixels is not None:
        options["max_pixels"] = str(max_pixels)
    try:
        return av.open(ffmpeg_url(path), "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        if isinstance(error, av.error.ArgumentError):  # FFmpeg's word for what is not among `_CONTAINERS`
            said = "not a container of films"
        raise FileError(f"{path} is not a film that FFmpeg can read ({said}); give a video file") from error


def find_video_stream(container: Any, path: Path) -> Any:
    """The video stream, cover art left aside. Raises FileError if there is none that can be decoded."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise FileError(f"{path} holds pictures that FFmpeg cannot decode; convert it to another codec")
            return stream
    raise FileError(f"{path} holds no moving pictures; expected a video stream, so give another file")


def demux_packets(container: Any, stream: Any) -> Iterator[Any | None]:
    """Yield a stream's packets, None for each place that cannot be read, and a packet without data at the end."""
    for other in container.streams:
        other.discard = av.stream.Discard.default if other.index == stream.index else av.stream.Discard.all
    failures = 0
    while failures < _PATIENCE:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except IndexError:
            # PyAV's end of a file in which a stream appeared late; ours has ended by then.
            return
        except av.FFmpegError:
            # The demuxer looks for the next packet that makes sense.
            failures += 1
            yield None
