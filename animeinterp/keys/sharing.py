"""Share the drawings of keys among worker processes: how many processes, and what each gets at once.

A folder holds few pairs, often of many in-betweens. So a run of pairs is made shorter than for a film, and a pair whose
in-betweens would keep one process busy alone is cut: its motion is then estimated more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from animeinterp.keys.result_folder import DrawingTask
from animeinterp.pairs import RUN_LIMITS, ModelChoice, choose_workers

if TYPE_CHECKING:
    from animeinterp.interpolator import Interpolator


@dataclass(frozen=True, slots=True)
class SharingLimits:
    """Limits of what is shared.

    By the CPU time of `cel` at 960x540 (`python benchmarks/cost.py DATASET --pairs 8`): 0.14 s to analyze a key, 0.69 s
    for the motion of a pair, 0.66 s for a drawing. A film, by whose pairs `RUN_LIMITS` counts, pays each once a pair.

    Attributes:
        motion: What the motion of a pair counts, in pairs of a film.
        drawing: What an in-between counts.
        least_drawings: In-betweens of a part of a pair, at least; 8 take five times as long as the motion.
    """

    motion: float = 0.6
    drawing: float = 0.4
    least_drawings: int = 8


SHARING_LIMITS = SharingLimits()


def choose_key_workers(
    source: Interpolator | ModelChoice | Callable[[], Interpolator], pixels: int, tasks: Sequence[DrawingTask]
) -> int:
    """Choose the number of processes.

    Args:
        source: The model.
        pixels: Of a drawing.
        tasks: What is to be drawn.

    Returns:
        At least 1.
    """
    drawings = sum(len(task.pair.inbetweens) for task in tasks)
    work = SHARING_LIMITS.motion * len(tasks) + SHARING_LIMITS.drawing * drawings
    parts = sum(max(1, len(task.pair.inbetweens) // SHARING_LIMITS.least_drawings) for task in tasks)
    return max(1, min(choose_workers(source, pixels, round(work)), parts))


def share(tasks: Sequence[DrawingTask], workers: int) -> list[DrawingTask]:
    """Cut the tasks that are too long for a fair share; the order of drawings stays.

    Args:
        tasks: What is to be drawn.
        workers: Number of processes.
    """
    if workers == 1:
        return list(tasks)
    drawings = sum(len(task.pair.inbetweens) for task in tasks)
    most = max(SHARING_LIMITS.least_drawings, -(-drawings // workers))
    return [
        replace(task, pair=replace(task.pair, inbetweens=task.pair.inbetweens[begin : begin + most]))
        for task in tasks
        for begin in range(0, len(task.pair.inbetweens), most)
    ]


def run_length(tasks: Sequence[DrawingTask], workers: int) -> int:
    """Return how many tasks are sent to a process together, so that all processes get some."""
    return max(1, min(RUN_LIMITS.pairs, len(tasks) // workers))
