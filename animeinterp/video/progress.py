"""The progress of a video job."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """How far a video job is and what it has done.

    Attributes:
        frames: Finished frames of the new film.
        total: All its frames; an estimate until the source is read.
        drawn: Frames of this run that were interpolated.
        shown: Frames of this run that show a drawing as it is.
        held: Those of them that hold the last drawing before a cut.
        doubtful: Frames of this run between two drawings where new ones are doubtful, see `animeinterp.confidence`.
        avoided: Those of them that were not drawn: the nearer drawing is shown.
        kept: Frames that an earlier run finished.
        cuts: Shots of the source without the first, as far as it was read.
        ones: Drawings of the source that last one frame, likewise.
        twos: Two frames.
        threes: Three.
        longer: More.
        damaged: Source frames that could not be decoded.
        doubled: Source frames left out because another has the same time.
        shrunk: How often memory ran out.
        lost: Damaged packets of sound that were left out.
        dropped: What the new file cannot contain, as sentences.
        notes: What was assumed about the source, and other notes for the user, as sentences.
        seconds: Duration of this run so far.
        frames_per_second: Frames finished in this run per second.
        seconds_left: Estimate of the time left; None before the first frame.
    """

    frames: int = 0
    total: int = 0
    drawn: int = 0
    shown: int = 0
    held: int = 0
    doubtful: int = 0
    avoided: int = 0
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

    def update_speed(self, seconds: float, drawing_seconds: float) -> None:
        """Update the speed and the time left.

        Args:
            seconds: Duration of the run so far.
            drawing_seconds: The part of it since the first frame was begun.
        """
        self.seconds = seconds
        new = self.frames - self.kept
        if new > 0 and drawing_seconds > 0:
            self.frames_per_second = new / drawing_seconds
            self.seconds_left = max(0, self.total - self.frames) / self.frames_per_second
