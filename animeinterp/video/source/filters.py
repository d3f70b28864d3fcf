"""Read the output of an FFmpeg filter graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

import av

AnyFrame = TypeVar("AnyFrame", av.VideoFrame, av.AudioFrame)


def pull_frames(graph: av.filter.Graph, kind: type[AnyFrame]) -> Iterator[AnyFrame]:
    """Yield the frames that a graph of one sink has ready.

    Args:
        graph: A configured graph.
        kind: `av.VideoFrame` or `av.AudioFrame`; frames of the other type are skipped.
    """
    with suppress(av.BlockingIOError, av.EOFError):  # no frame is ready; the end
        while True:
            frame = graph.pull()
            if isinstance(frame, kind):
                yield frame
