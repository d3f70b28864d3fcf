"""How much memory a worker that draws takes, by preset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryNeeds:
    """The most memory of a worker that draws with a preset, without the frames in flight.

    `cel`, `cel-fast` and `classical` by the peaks of workers that drew frames of 960x540, 1920x1080 and 3840x2160,
    rounded up (`python benchmarks/workers.py`); `paper` by `python benchmarks/paper_network.py`; `studio`, whose heavy
    network sees as many pixels, is taken to need as much.

    Attributes:
        base: Libraries and weights, bytes. About 200 MB of it are shared by all workers.
        per_pixel: Bytes per pixel of a frame.
    """

    base: int
    per_pixel: int


MEMORY_NEEDS = {
    "cel": MemoryNeeds(650_000_000, 160),
    "cel-fast": MemoryNeeds(530_000_000, 150),
    "classical": MemoryNeeds(500_000_000, 240),
    "studio": MemoryNeeds(500_000_000, 2_200),
    "paper": MemoryNeeds(500_000_000, 2_200),
}
