"""How far a film is, and what was done."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """How far a job is and what it did.

    frames: of the new film that are finished; total: of all. drawn: those that are new. shown: drawings as
    they are. held: of these, before a cut. cuts, ones, twos, threes, longer: of the source, as far as it was read.
    damaged: its frames that could not be decoded. doubled: those left out because another has the same time. shrunk:
    how often memory ran out. kept: frames of an earlier run. dropped: what the new file cannot hold. notes: what was
    assumed about the source, and what else the user should know. lost: packets of sound that are damaged. seconds:
    so far. frames_per_second: drawn in this run, on average. seconds_left: about; None before the first frame.
    """

    frames: int = 0
    total: int = 0
    drawn: int = 0
    shown: int = 0
    held: int = 0
    kept: int = 0
    cuts: int = 0
    ones: int = 0
    twos: int = 0
    threes: int = 0
    longer: int = 0
    damaged: int = 0
    doubled: int = 0
    shrunk: int = 0
    lost: int = 0
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    frames_per_second: float = 0.0
    seconds_left: float | None = None

    def timed(self, seconds: float, drawing: float) -> None:
        """Work out speed and rest. seconds: of the whole run; drawing: of it, since the first frame was asked for."""
        self.seconds = seconds
        new = self.frames - self.kept
        if new > 0 and drawing > 0:
            self.frames_per_second = new / drawing
            self.seconds_left = max(0, self.total - self.frames) / self.frames_per_second
