"""What a visitor chooses for a film, and the options of `animeinterp video` that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from animeinterp.app.film_paths import check_cuts
from animeinterp.video.options import VideoOptions
from animeinterp.video.sink.encoding import Encoding

# Name on the page → values by the names of the options.
RATES: dict[str, dict[str, Any]] = {
    "Twice the frame rate": {"times": 2},
    "60 frames per second": {"fps": "60"},
    "The film's own rate, without holds": {"times": 1},
    "Slow motion, twice as long": {"slow": "2"},
    "Slow motion, four times as long": {"slow": "4"},
}
HOLDS = {
    "Turn held drawings into motion": "auto",
    "Keep long holds": "keep",
    "Every frame is a drawing": "off",
}
CONTAINERS = {"As the film": None, "MP4": "mp4", "Matroska (MKV)": "mkv", "QuickTime (MOV)": "mov", "WebM": "webm"}
CODECS = {
    "Automatic": "auto",
    "H.264": "h264",
    "H.265": "h265",
    "AV1": "av1",
    "VP9": "vp9",
    "ProRes": "prores",
    "FFV1": "ffv1",
}
QUALITIES: dict[str, dict[str, Any]] = {
    "Usual": {},
    "Smaller file": {"quality": 65},
    "Better": {"quality": 92},
    "Lossless": {"lossless": True},
}


@dataclass(frozen=True, slots=True)
class FilmSettings:
    """What a visitor chooses for a film.

    Attributes:
        rate: A key of `RATES`.
        model: A preset.
        holds: A key of `HOLDS`.
        cuts: The visitor's list of cuts; None lets the run find them.
        container: A key of `CONTAINERS`.
        codec: A key of `CODECS`.
        quality: A key of `QUALITIES`.
        device: As in `load_interpolator`.
        max_pixels: Larger frames are refused.
    """

    rate: str
    model: str
    holds: str
    cuts: str | None
    container: str
    codec: str
    quality: str
    device: str
    max_pixels: int

    @property
    def suffix(self) -> str | None:
        """The container as `animeinterp.video.film_list.name_target` takes it."""
        return CONTAINERS[self.container]

    def arguments(self, *, encoded: bool = True) -> list[str]:
        """Return the options of the command line, those of the encoder only if `encoded`."""
        values = {**RATES[self.rate], "cadence": HOLDS[self.holds], "model": self.model, "device": self.device}
        values |= {"max-pixels": self.max_pixels} | ({} if self.cuts is None else {"cuts": check_cuts(self.cuts)})
        values |= {"codec": CODECS[self.codec], **QUALITIES[self.quality]} if encoded else {}
        return [f"--{name}" if value is True else f"--{name}={value}" for name, value in values.items()]

    def options(self) -> VideoOptions:
        """Return the same as options of the library."""
        return VideoOptions(
            **RATES[self.rate],
            cadence=HOLDS[self.holds],  # type: ignore[arg-type]
            cuts=None if self.cuts is None else check_cuts(self.cuts),
            encoding=Encoding(codec=CODECS[self.codec], **QUALITIES[self.quality]),
            max_pixels=self.max_pixels,
        )
