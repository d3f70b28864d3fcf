"""Open the file of a film: video containers only, one local file, no network.

FFmpeg detects the format from the content and would also open playlists, scripts and image lists, which name other
files to read. Here only the demuxers of `_CONTAINERS` and the file protocol are allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from animeinterp.errors import FileError
from animeinterp.io.files import check_source, ffmpeg_url
from animeinterp.video.source.clock import AnyPacket

# Names of FFmpeg's demuxers that read one file and no other.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "ogg", "asf", "gif", "apng", "nut",
    "mxf", "gxf", "dv", "rm", "wtv", "nsv", "nuv", "ivf", "obu", "yuv4mpegpipe", "swf", "flic", "smk", "bink", "roq",
    "h264", "hevc", "vvc", "av1", "m4v", "mpegvideo", "h261", "h263", "vc1", "dirac", "mjpeg", "cavsvideo", "avs2",
)  # fmt: skip
_MAX_FAILURES = 100  # errors in a row


def open_film(path: Path, max_pixels: int | None = None) -> InputContainer:
    """Open a film.

    Args:
        path: The file of the film.
        max_pixels: Largest frame that decoders accept, px; None = FFmpeg's own limit.

    Returns:
        The open container; the caller closes it.

    Raises:
        FileError: The file does not exist, can be read only once, or is not a film.
    """
    if str(path) == "-":
        raise FileError("a film is read more than once, which standard input does not allow; save it as a file first")
    check_source(path, "a film")
    options = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "file"}
    if max_pixels is not None:
        options["max_pixels"] = str(max_pixels)
    try:
        return av.open(ffmpeg_url(path), "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, av.error.ArgumentError):  # FFmpeg's error for a demuxer outside of `_CONTAINERS`
            reason = "not a video container"
        raise FileError(f"{path} is not a film that FFmpeg can read ({reason}); give a video file") from error


def find_video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """Find the first video stream that is not cover art.

    Args:
        container: The open film.
        path: The file of the film, for messages.

    Raises:
        FileError: There is no such stream, or FFmpeg has no decoder for it.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise FileError(f"{path} holds video that FFmpeg cannot decode; convert it to another codec")
            return stream
    raise FileError(f"{path} holds no video; expected a video stream, so give another file")


def demux_packets(container: InputContainer, stream: Stream) -> Iterator[AnyPacket | None]:
    """Yield the packets of a stream, over damaged places.

    Args:
        container: The open film; packets of its other streams are discarded.
        stream: One of its streams.

    Yields:
        Packets in file order, None for each unreadable place; the last packet holds no data.
    """
    for other in container.streams:
        other.discard = av.stream.Discard.default if other.index == stream.index else av.stream.Discard.all
    failures = 0
    while failures < _MAX_FAILURES:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except IndexError:
            # PyAV raises it at the end of a file in which a stream appeared late; this stream has ended by then.
            return
        except av.FFmpegError:
            # The demuxer resynchronizes at the next valid packet.
            failures += 1
            yield None
