"""The options of a video job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from animeinterp.config import Options
from animeinterp.runtime.pools import Workers
from animeinterp.video.compare import Compare
from animeinterp.video.sink.encoding import Encoding
from animeinterp.video.timeline import Cadence

Sound = Literal["auto", "copy", "stretch", "drop"]
Doubtful = Literal["draw", "hold"]


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How to make a film smoother.

    Attributes:
        fps: Frames per second of the new film: `60`, `24000/1001` or `23.976`; None sets the rate by `times`.
        times: Multiple of the source's rate; None doubles it, or keeps it in slow motion.
        slow: How many times longer the new film lasts, as text; None = as long as the source.
        preview: The part to make, `10s@1:30` for ten seconds from 1:30 on; None makes all of it.
        cadence: What to do with holds, see `animeinterp.video.timeline.HoldPolicy`.
        max_hold: Duration above which a hold is long, s.
        cuts: First frames of shots, see `animeinterp.video.cadence.cut_list.parse_cuts`; None detects them.
        loop: Whether the last drawing moves into the first, as in a cycle.
        sound: What to do with the sound. `auto` copies it, and stretches it in slow motion.
        encoding: Codec and quality of the new film.
        flow_scale: Scale of the width and height at which motion is estimated, in (0, 4].
        doubtful: What to do between two drawings where the new ones are doubtful: `draw` them, or `hold` the nearer
            drawing.
        compare: Also show the source, side by side (`side`) or behind a moving border (`wipe`); None does not.
        deinterlace: Whether fields are first made whole frames.
        rate: Frames per second of a folder of frames, in the form of `fps`; None = 24.
        resume: Whether to continue an interrupted run.
        force: Whether to overwrite an existing target.
        max_pixels: Largest accepted frame, px; larger ones are refused.
        workers: Processes that draw; the film does not depend on it. None takes one per core, as memory allows;
            `RayWorkers()` draws on a Ray cluster.
    """

    fps: str | None = None
    times: int | None = None
    slow: str | None = None
    preview: str | None = None
    cadence: Cadence = "auto"
    max_hold: float = 0.5
    cuts: str | None = None
    loop: bool = False
    sound: Sound = "auto"
    encoding: Encoding = field(default_factory=Encoding)
    flow_scale: float = 1.0
    doubtful: Doubtful = "draw"
    compare: Compare | None = None
    deinterlace: bool = False
    rate: str | None = None
    resume: bool = False
    force: bool = False
    max_pixels: int = Options().max_pixels
    workers: Workers | None = None
