"""Measure the clock of a film: when its frames are shown, whatever its container claims.

All packets are read once; none is decoded. Containers round times, omit them, repeat them, or give them in decoding
order, and clocks jump where recordings were joined. The result is one steady clock, the frame rate, and the corrections
that bring the packets of every stream to it. Times of packets are in ticks, the time base of the video stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import NamedTuple, TypeAlias

import av
from av.container import InputContainer

from animeinterp.video.source.clock import INTERLEAVING, REORDER_DEPTH, Clock, Recording, packet_time, with_positions
from animeinterp.video.source.container import demux_packets, open_film
from animeinterp.video.source.rates import estimate_frame_rate, rounding_tolerance

_Times: TypeAlias = "Sequence[int | None]"

_TS_DISCONT = 0x0200  # FFmpeg's AVFMT_TS_DISCONT: the clock of a format may jump
_JUMPING = ("flv", "live_flv", "rm", "asf", "nsv")  # formats of broadcast recordings that FFmpeg takes for steady
_DEFAULT_TICK = Fraction(1, 90_000)  # s, where a file has none


@dataclass(frozen=True, slots=True)
class JumpLimits:
    """Thresholds of jumps and of implausible times.

    Chosen on joined transport streams, pauses with and without audio, and damaged headers;
    `tests/video/source/test_clock.py` holds them.

    Attributes:
        backward: Step back in decoding time that is not a jump, s, at most (FFmpeg's own limit).
        forward: Step forward that is not a jump where clocks may jump, s, at most (FFmpeg's own limit).
        forward_intervals: Step forward that is not a jump, in usual frame intervals, at most.
        max_hold: Time that a frame is shown, s, at most: a longer step is a jump even without audio, and a longer
            last frame is not accepted.
        max_interval: Usual frame interval, s, at most; a slower clock is wrong if the codec declares a rate.
    """

    backward: Fraction = Fraction(1, 10)
    forward: int = 10
    forward_intervals: int = 20
    max_hold: int = 3600
    max_interval: int = 10


LIMITS = JumpLimits()


@dataclass(frozen=True, slots=True)
class _Packet:
    """The times of a packet, ticks, None where the file has none; whether an edit list hides it."""

    pts: int | None
    dts: int | None
    duration: int
    position: int
    hidden: bool


class _Step(NamedTuple):
    """Numbers and times, ticks, of a packet and of the one shown before it."""

    number: int
    previous: int
    previous_time: int
    time: int


def read_clock(container: InputContainer, stream: av.VideoStream, path: Path, limits: JumpLimits = LIMITS) -> Clock:
    """Read all video packets of a film and measure its clock.

    Args:
        container: The open film, of which no packet has been read yet.
        stream: Its video stream.
        path: The file of the film.
        limits: Thresholds of jumps.
    """
    all_packets = [
        _Packet(packet.pts, packet.dts, packet.duration or 0, position, bool(packet.is_discard))
        for packet, position in with_positions(demux_packets(container, stream))
    ]
    packets = [packet for packet in all_packets if not packet.hidden]
    context, tick = stream.codec_context, Fraction(stream.time_base or _DEFAULT_TICK)
    name = container.format.name
    hints = [Fraction(rate) for rate in (context.framerate, stream.average_rate, stream.base_rate) if rate]
    times = _read_times(packets, name)
    if times is not None and hints and _usual_interval(times) * tick > limits.max_interval and hints[0] >= 1:
        times = None  # the codec's rate is more reliable
    recordings: list[Recording] = []
    if times is None:
        rate = estimate_frame_rate([], tick, hints)
        packets = [replace(packet, duration=0) for packet in packets]
        tick = tick if 2 * tick * rate < 1 else 1 / rate
        stamps = [round(number / rate / tick) for number in range(len(packets))]
    else:
        starts = _find_jumps(packets, times, tick, stream, path, limits)
        usual = _usual_interval(times)
        recordings, times = _join_recordings(packets, times, starts, tick, usual)
        stamps = _fill_gaps(times, usual)
        # FFmpeg guesses the rates of GIF.
        hints = [] if name == "gif" else hints
        rate = estimate_frame_rate(sorted(stamps), tick, hints, summed=name == "apng")
        if name == "apng":
            stamps = _undo_rounding(stamps, 1 / (rate * tick))
    rises = all(before <= after for before, after in pairwise(stamps))
    own, following = [packet.pts for packet in packets], iter(stamps)
    return Clock(
        rate=rate,
        tick=tick,
        end=_end_time(packets, stamps, rate, tick),
        frames=len(packets),
        timestamps=None if stamps == own else tuple(p.pts if p.hidden else next(following) for p in all_packets),
        is_disordered=rises if context.reorder_depth else not rises,
        recordings=tuple(recordings),
    )


def last_duration(duration: Fraction, rate: Fraction, tick: Fraction, limits: JumpLimits = LIMITS) -> Fraction:
    """Return how long the last frame is shown, s.

    Args:
        duration: As the file declares it, s.
        rate: Frames per second.
        tick: Unit of times in the file, s.
        limits: `max_hold` is used.

    Returns:
        The duration; one interval of the rate where it differs by rounding alone, is 0 or is too long.
    """
    is_rounded = abs(duration - 1 / rate) <= rounding_tolerance(rate, tick)
    return 1 / rate if is_rounded or not 0 < duration <= limits.max_hold else duration


def _read_times(packets: Sequence[_Packet], format_name: str) -> list[int | None] | None:
    """Return when packets are shown by their own times; None if they have too few."""
    presented = [packet.pts for packet in packets]
    decoded = [packet.dts for packet in packets if packet.dts is not None]
    distinct = _count_times(packets)
    if format_name != "avi" and 2 * distinct > len(packets):
        return presented
    # AVI stores only the decoding order; FFmpeg's guess at presentation times is wrong for H.264.
    if len(decoded) == len(packets) and all(before < after for before, after in pairwise(decoded)):
        return list(decoded)
    if 2 * distinct > len(packets):
        return presented
    filled: list[int | None] = []
    for packet in packets:
        last = filled[-1] if filled else None
        filled.append(packet.dts if packet.dts is not None or last is None else last + packet.duration)
    return filled if len({*filled}) > len(packets) // 2 else None


def _count_times(packets: Sequence[_Packet]) -> int:
    """Count packets with a presentation time of their own; a time may recur in a later recording."""
    known: set[int] = set()
    count, last = 0, None
    for packet in packets:
        if packet.dts is not None:
            if last is not None and packet.dts < last:
                known.clear()
            last = packet.dts
        if packet.pts is not None and packet.pts not in known:
            known.add(packet.pts)
            count += 1
    return count


def _usual_interval(times: _Times) -> int:
    """Return the median interval between frames, ticks, at least 1."""
    known = sorted({time for time in times if time is not None})
    return median_low([after - before for before, after in pairwise(known)] or [1])


def _find_jumps(
    packets: Sequence[_Packet], times: _Times, tick: Fraction, stream: av.VideoStream, path: Path, limits: JumpLimits
) -> list[int]:
    """Return the numbers of the packets at which the clock jumps."""
    usual, file_format = _usual_interval(times), stream.container.format
    decoded = [(n, packet.dts) for n, packet in enumerate(packets) if packet.dts is not None]
    # Matroska stores no decoding times; FFmpeg's lag behind.
    if 2 * len(decoded) >= len(packets) and not file_format.name.startswith("matroska"):
        steps = [_Step(n, before, time, after) for (before, time), (n, after) in pairwise(decoded)]
    else:
        depth = REORDER_DEPTH if stream.codec_context.reorder_depth else 0
        steps = _presentation_steps([(n, time) for n, time in enumerate(times) if time is not None], depth)
    back = max(limits.backward / tick, Fraction(usual))
    backwards = [step.number for step in steps if step.previous_time - step.time > back]
    minimum = max(limits.forward / tick, Fraction(limits.forward_intervals * usual))
    may_jump = bool(backwards or file_format.flags & _TS_DISCONT or file_format.name in _JUMPING)
    forwards = [
        step.number
        for step in steps
        if step.time - step.previous_time > minimum and _is_jump(path, packets, step, tick, may_jump, limits)
    ]
    return sorted(backwards + forwards)


def _presentation_steps(shown: Sequence[tuple[int, int]], depth: int) -> list[_Step]:
    """Return the steps between (number, time) of packets in file order, which may precede their order by `depth`."""
    steps = []
    latest: list[tuple[int, int]] = []  # time and number of the latest frame, up to each packet of the recording
    for place, (number, time) in enumerate(shown):
        settled = latest[-depth - 1] if len(latest) > depth else None
        if settled is not None and time < settled[0]:
            steps.append(_Step(number, settled[1], settled[0], time))
            latest = []
        elif latest and time > latest[-1][0]:
            following = (other for _, other in shown[place + 1 : place + 1 + depth])
            if not any(latest[-1][0] < other < time for other in following):
                steps.append(_Step(number, latest[-1][1], latest[-1][0], time))
        latest.append(max(latest[-1], (time, number)) if latest else (time, number))
    return steps


def _is_jump(
    path: Path, packets: Sequence[_Packet], step: _Step, tick: Fraction, may_jump: bool, limits: JumpLimits
) -> bool:
    """Whether the clock jumps at a step forward; if not, the frame before it is held.

    Audio decides. A clock that may jump does so unless audio continues between the frames. A steady clock jumps only
    if audio stops and resumes after the step, or if the step is longer than any hold.
    """
    begin, end = step.previous_time * tick + INTERLEAVING, step.time * tick - INTERLEAVING
    first, last, resumed = packets[step.previous].position, packets[step.number].position, False
    with open_film(path) as container:
        for stream in container.streams.audio[:1]:
            for packet, position in with_positions(demux_packets(container, stream)):
                time = packet_time(packet)
                if time is None:
                    continue
                # If the clock jumps more than once, times alone do not show which packets lie between the frames.
                is_between = not may_jump or first <= position <= last
                if is_between and begin < time < end:
                    return False
                resumed = resumed or time >= end
    return may_jump or resumed or (step.time - step.previous_time) * tick > limits.max_hold


def _join_recordings(
    packets: Sequence[_Packet], times: _Times, starts: Sequence[int], tick: Fraction, usual: int
) -> tuple[list[Recording], list[int | None]]:
    """Return the recordings that begin at the packets `starts`, in sequence, and all times on one clock."""
    recordings: list[Recording] = []
    steady = list(times)
    for first, stop in pairwise([0, *starts, len(packets)]) if starts else ():
        known = [time for time in times[first:stop] if time is not None] or [0]
        begin, end = min(known) * tick, max(known) * tick
        previous = recordings[-1] if recordings else None
        shift = previous.end + previous.shift + usual * tick - begin if previous else Fraction(0)
        recordings.append(Recording(packets[first].position, begin, end, shift))
        steady[first:stop] = [None if time is None else time + round(shift / tick) for time in times[first:stop]]
    return recordings, steady


def _fill_gaps(times: _Times, usual: int) -> list[int]:
    """Move missing and repeated times into gaps nearby; a time stays repeated where there is no gap."""
    filled: list[int] = []
    taken = {time for time in times if time is not None}
    used: set[int] = set()
    for number, time in enumerate(times):
        if time is None or time in used:
            neighbors = times[max(0, number - REORDER_DEPTH) : number + REORDER_DEPTH]
            near = sorted({*(t for t in neighbors if t is not None), *filled[-REORDER_DEPTH:]})
            gaps = [a + min(usual, (b - a) // 2) for a, b in pairwise(near) if 2 * (b - a) >= 3 * usual and b - a > 1]
            free = [gap for gap in gaps if gap not in taken]
            last = filled[-1] if filled else 0
            time = min(free, key=lambda gap: abs(gap - (last + usual)), default=last if time is None else time)
        used.add(time)
        taken.add(time)
        filled.append(time)
    return filled


def _undo_rounding(stamps: Sequence[int], step: Fraction) -> list[int]:
    """Remove the accumulated error from times that sum rounded intervals; `step` is the clock's interval, ticks."""
    time, exact = Fraction(stamps[0] if stamps else 0), list(stamps[:1])
    for before, after in pairwise(stamps):
        interval = after - before
        regular = round(interval / step) * step
        time += regular if abs(interval - regular) <= Fraction(3, 4) else interval
        exact.append(round(time))
    return exact


def _end_time(packets: Sequence[_Packet], stamps: Sequence[int], rate: Fraction, tick: Fraction) -> Fraction:
    """Return the time at which the last frame ends, s."""
    if not packets:
        return Fraction(0)
    last = max(range(len(stamps)), key=stamps.__getitem__)
    return stamps[last] * tick + last_duration(packets[last].duration * tick, rate, tick)
