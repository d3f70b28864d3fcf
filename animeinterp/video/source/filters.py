"""What comes out of an FFmpeg filter graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av


def pull_frames(graph: Any) -> Iterator[Any]:
    """Yield the frames, of video or sound, that a graph of one sink has ready.

    Args:
        graph: A configured `av.filter.Graph`.
    """
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
