"""The measures that the evaluation report shows, in the order in which it shows them.

LPIPS comes first where it was measured, as it is nearest to what viewers see; then PSNR and SSIM at each model's best
time, if anybody looked for it, as truths are seldom drawn at the temporal middle; then everything at t = 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from animeinterp.evaluation.scores import BestTime
from animeinterp.metrics.scores import Scores

_SHORT = 15  # characters of a model's name that fit beside a bar


@dataclass(frozen=True, slots=True)
class Shown:
    """Scores of a triplet, or means. plain: at t = 0.5. best: at the best time, None if nobody looked for it."""

    plain: Scores
    best: Scores | None = None

    @classmethod
    def of(cls, plain: Scores | None, best: BestTime | None = None) -> Shown | None:
        """Of what a summary or a row holds; None where there is nothing."""
        return cls(plain, best.scores if best else None) if plain else None


@dataclass(frozen=True, slots=True)
class Measure:
    """How one of `Scores` is shown.

    unit: after a number. heading: what the column's heading says beside the name. digits: after the point. rises:
    whether more is better. factor: what the value is multiplied by to be shown. from_one: whether bars show how much is
    lacking to 1, as they must begin at zero and all similarities are close to 1.
    """

    name: str
    of: Callable[[Shown], float | None]
    digits: int
    rises: bool
    unit: str = ""
    heading: str = ""
    factor: float = 1
    from_one: bool = False

    def text(self, shown: Shown | Scores | None) -> str:
        """The value without its unit; ∞ for equal frames, a dash where there is none."""
        value = self.of(Shown(shown) if isinstance(shown, Scores) else shown) if shown else None
        if value is None:
            return "–"
        return "∞" if math.isinf(value) else f"{value * self.factor:.{self.digits}f}"


LPIPS = Measure("LPIPS", lambda s: s.plain.lpips, 4, False)
PSNR = Measure("PSNR", lambda s: s.plain.psnr, 2, True, " dB", "dB")
SSIM = Measure("SSIM", lambda s: s.plain.ssim, 4, True, from_one=True)
CHAMFER = Measure("Chamfer", lambda s: s.plain.chamfer, 2, False, "·10⁻⁵", "10⁻⁵ diagonals", 1e5)
MEASURES = (
    LPIPS,
    Measure("PSNR", lambda s: s.best.psnr if s.best else None, 2, True, " dB", "dB, best t"),
    Measure("SSIM", lambda s: s.best.ssim if s.best else None, 4, True, heading="best t", from_one=True),
    PSNR,
    SSIM,
    Measure("SSIM ATD", lambda s: s.plain.ssim_atd, 4, True, heading="as in papers", from_one=True),
    Measure("IE", lambda s: s.plain.ie, 2, False, heading="of 441"),
    CHAMFER,
)
AT_BEST = (LPIPS, PSNR, SSIM, CHAMFER)  # are compared with those at t = 0.5


def shown_measures(scores: Iterable[Shown | None]) -> list[Measure]:
    """The measures that some of the scores have."""
    known = [one for one in scores if one]
    return [measure for measure in MEASURES if any(measure.of(one) is not None for one in known)]


def finite(values: Iterable[float | None]) -> list[float]:
    """Those values that are numbers of finite size."""
    return [value for value in values if value is not None and math.isfinite(value)]


def shortened(name: str, most: int = _SHORT) -> str:
    """A name without its middle: what tells models apart is at the ends."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-(most - most // 2 - 1) :]}"
