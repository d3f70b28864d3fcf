"""The measures of the report, in the order of its columns.

LPIPS comes first where it was measured, as it is nearest to what viewers see. PSNR and SSIM at each model's best time
follow where that was searched for, as true frames are seldom at the temporal middle; then everything at t = 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from animeinterp.evaluation.scores import BestTime
from animeinterp.metrics.scores import Scores


@dataclass(frozen=True, slots=True)
class ScorePair:
    """Scores of one triplet, or means of several.

    Attributes:
        middle: At t = 0.5; None if there are none.
        best: At the best time; None if it was not searched for.
    """

    middle: Scores | None
    best: BestTime | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """How the report shows one field of `Scores`.

    Attributes:
        name: Heading of the column.
        field: Name of the field.
        digits: Decimals.
        higher_is_better: Direction of improvement.
        unit: Text after a number.
        heading: Second line of the column's heading.
        factor: The value is multiplied by this before it is shown.
        from_one: Whether bars show 1 - value: similarities are close to 1, and bars begin at 0.
        at_best: Whether the value is taken at the best time instead of t = 0.5.
    """

    name: str
    field: str
    digits: int
    higher_is_better: bool
    unit: str = ""
    heading: str = ""
    factor: float = 1
    from_one: bool = False
    at_best: bool = False

    def value(self, scores: ScorePair | Scores | None) -> float | None:
        """Return the value; None if it was not measured."""
        pair = scores if isinstance(scores, ScorePair) else ScorePair(scores)
        value: float | None = getattr(pair.best and pair.best.scores if self.at_best else pair.middle, self.field, None)
        return value

    def format(self, value: float | None) -> str:
        """Format a value without its unit: ∞ for equal frames, a dash if it is unknown."""
        if value is None:
            return "–"
        return "∞" if math.isinf(value) else f"{value * self.factor:.{self.digits}f}"

    def text(self, scores: ScorePair | Scores | None) -> str:
        """Format the value of some scores without its unit."""
        return self.format(self.value(scores))

    def best(self, means: Sequence[ScorePair]) -> set[int]:
        """Return the indices of the best means, compared as they are shown; empty if all are equal."""
        texts = {n: self.text(scores) for n, scores in enumerate(means)}
        values = {n: float(text.replace("∞", "inf")) for n, text in texts.items() if text != "–"}
        if len(set(values.values())) < 2:
            return set()
        best = max(values.values()) if self.higher_is_better else min(values.values())
        return {n for n, value in values.items() if value == best}

    def bar(self, scores: ScorePair) -> float:
        """Return the length of a bar in the measure's own unit; 0 if the value is unknown."""
        value = self.value(scores)
        if value is None:
            return 0.0
        return 1 - value if self.from_one else value

    @property
    def bar_note(self) -> str:
        """Explain how to read the bars."""
        if self.from_one:
            return f"bars: 1 − {' '.join(filter(None, (self.name, self.heading)))}, shorter is better"
        direction = "longer is better" if self.higher_is_better else "shorter is better"
        return ", ".join(filter(None, (self.heading, direction)))


LPIPS = Measure("LPIPS", "lpips", 4, False)
PSNR = Measure("PSNR", "psnr", 2, True, " dB", "dB")
SSIM = Measure("SSIM", "ssim", 4, True, from_one=True)
CHAMFER = Measure("Chamfer", "chamfer", 2, False, "·10⁻⁵", "10⁻⁵ diagonals", 1e5)
MEASURES = (
    LPIPS,
    Measure("PSNR", "psnr", 2, True, " dB", "dB, best t", at_best=True),
    Measure("SSIM", "ssim", 4, True, heading="best t", from_one=True, at_best=True),
    PSNR,
    SSIM,
    Measure("SSIM ATD", "ssim_atd", 4, True, heading="as in papers", from_one=True),
    Measure("IE", "ie", 2, False, heading="of 441"),
    CHAMFER,
)
TIMED_MEASURES = (LPIPS, PSNR, SSIM, CHAMFER)  # also measured at the best time


def known_measures(
    scores: Iterable[ScorePair | Scores | None], measures: Sequence[Measure] = MEASURES
) -> list[Measure]:
    """Select the measures that at least one of the scores has.

    Args:
        scores: The scores.
        measures: The measures to select from.

    Returns:
        The measures, in order.
    """
    scores = list(scores)
    return [measure for measure in measures if any(measure.value(one) is not None for one in scores)]


def finite(values: Iterable[float | None]) -> list[float]:
    """Return the values that are known and finite."""
    return [value for value in values if value is not None and math.isfinite(value)]
