"""Draw many in-betweens of one pair on all cores.

A few in-betweens are drawn in this process, with all threads of torch. For many, worker processes of one thread each
estimate the motion themselves, which takes less time and memory than sending it to them, and draw their share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from animeinterp.frame import Frame
from animeinterp.keys.sharing import SHARING_LIMITS
from animeinterp.pairs import RUN_LIMITS, WorkerSetup, choose_workers
from animeinterp.runtime.process_pool import ProcessPool

if TYPE_CHECKING:
    from animeinterp.hints import Hints
    from animeinterp.inbetween import Inbetweener
    from animeinterp.interpolator import Interpolator
    from animeinterp.motion import Motion

Drawn = tuple[Frame, bool]  # a new frame, and whether it is doubtful


class Share(NamedTuple):
    """What one process draws: the pair, its hints, and times."""

    frame0: Frame
    frame1: Frame
    hints: Hints | None
    times: tuple[Fraction, ...]


def is_many(frame: Frame, count: int) -> bool:
    """Whether so many in-betweens are worth two processes; it does not depend on the machine, so neither do bits.

    Args:
        frame: One of the pair.
        count: Number of in-betweens.
    """
    height, width = frame.shape[:2]
    return SHARING_LIMITS.drawing * count * int(height) * int(width) >= 2 * RUN_LIMITS.min_work


def draw_many(
    choice: Callable[[], Interpolator], interpolator: Interpolator, pair: Share, workers: int | None = None
) -> Iterator[Drawn]:
    """Draw many in-betweens of a pair; the same bits for any number of workers.

    Args:
        choice: Loads the model in a worker, a `ModelChoice`.
        interpolator: The same model, loaded; it draws if there is one worker.
        pair: All that is to be drawn.
        workers: Number of processes; None chooses it.

    Yields:
        What is drawn at each time.
    """
    if workers is None:
        pixels = pair.frame0.shape[0] * pair.frame0.shape[1]
        workers = choose_workers(choice, pixels, round(SHARING_LIMITS.drawing * len(pair.times)))
    most = -(-len(pair.times) // workers)
    shares = [pair._replace(times=pair.times[begin : begin + most]) for begin in range(0, len(pair.times), most)]
    if workers == 1:
        yield from _draw(interpolator, pair)
        return
    with ProcessPool(WorkerSetup(choice, 1.0), len(shares)) as pool:
        for drawn in pool.map(_draw_share, shares):
            yield from drawn


def draw_times(interpolator: Interpolator, motion: Motion, times: Iterable[Fraction]) -> Iterator[Drawn]:
    """Draw a pair whose motion is known at several times, in this process.

    Args:
        interpolator: The one that found the motion.
        motion: Of the pair.
        times: In [0, 1].

    Yields:
        What is drawn at each time.
    """
    from animeinterp.confidence import compute_doubt, grade

    for t in times:
        frame = interpolator.render(motion, float(t))
        yield frame, grade(compute_doubt(interpolator.confidence(motion, float(t)))) == "doubtful"


def _draw_share(inbetweener: Inbetweener, share: Share) -> list[Drawn]:
    """Draw a share in a worker process."""
    return list(_draw(inbetweener.interpolator, share))


def _draw(interpolator: Interpolator, share: Share) -> Iterator[Drawn]:
    """Draw a share in one thread: bits depend on the number."""
    from animeinterp.runtime.threads import single_threaded_workers

    with single_threaded_workers():
        first, second = interpolator.analyze(share.frame0), interpolator.analyze(share.frame1)
        motion = interpolator.motion(first, second, hints=share.hints)
        yield from draw_times(interpolator, motion, share.times)
