"""What a visitor chooses for a film, and the options of `animeinterp video` that it stands for."""

from __future__ import annotations

from dataclasses import dataclass

from animeinterp.app.film_paths import check_cuts
from animeinterp.video.options import VideoOptions

# Name on the page → options by the names of the command line.
RATES = {
    "Twice the frame rate": {"times": "2"},
    "60 frames per second": {"fps": "60"},
    "Slow motion, twice as long": {"slow": "2"},
    "Slow motion, four times as long": {"slow": "4"},
}
HOLDS = {
    "Turn held drawings into motion": "auto",
    "Keep long holds": "keep",
    "Every frame is a drawing": "off",
}


@dataclass(frozen=True, slots=True)
class FilmSettings:
    """What a visitor chooses for a film.

    Attributes:
        model: A preset.
        rate: A key of `RATES`.
        holds: A key of `HOLDS`.
        cuts: The visitor's list of cuts; None lets the run find them.
        device: As in `load_interpolator`.
        max_pixels: Larger frames are refused.
    """

    model: str
    rate: str
    holds: str
    cuts: str | None
    device: str
    max_pixels: int

    def arguments(self) -> list[str]:
        """Return the options of the command line."""
        words = [f"--{name}={value}" for name, value in RATES[self.rate].items()]
        words += [f"--cadence={HOLDS[self.holds]}"]
        words += [f"--model={self.model}", f"--device={self.device}", f"--max-pixels={self.max_pixels}"]
        return words if self.cuts is None else [*words, f"--cuts={check_cuts(self.cuts)}"]

    def options(self) -> VideoOptions:
        """Return the same as options of the library."""
        rate = RATES[self.rate]
        return VideoOptions(
            fps=rate.get("fps"),
            times=int(rate["times"]) if "times" in rate else None,
            slow=rate.get("slow"),
            cadence=HOLDS[self.holds],  # type: ignore[arg-type]
            cuts=None if self.cuts is None else check_cuts(self.cuts),
            max_pixels=self.max_pixels,
        )
