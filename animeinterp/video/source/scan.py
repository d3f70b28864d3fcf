"""Find out when the pictures of a film are shown, whatever its container says of it.

All packets are read once, none decoded: containers round times, leave them out, give them twice or in the order of
decoding, and clocks jump where recordings were joined. The result is one steady clock, the rate that its frames stand
on, and how the packets of every stream get there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Any

from av.format import Flags

from animeinterp.video.source.clock import AHEAD, REORDERED, Clock, Recording, with_positions
from animeinterp.video.source.container import demux_packets, open_film
from animeinterp.video.source.rates import estimate_frame_rate, rounding_tolerance

_BACK = Fraction(1, 10)  # s; a step back by more is a jump (FFmpeg's own limit)
_FORTH = 10  # s; a step on by more is a jump where clocks may jump (FFmpeg's own limit)
_FORTH_STEADY = 3600  # s; the same where they may not and there is no sound: held drawings are shorter
_FORTH_USUAL = 20  # usual intervals that a jump is longer than
_JUMPING = ("flv", "live_flv", "rm", "asf", "nsv")  # recordings of broadcasts, which FFmpeg takes for steady
_SLOW = 10  # s; frames that all stand longer than this have a wrong clock if the codec declares a rate
_TICK = Fraction(1, 90_000)  # s, where a file has none


@dataclass(frozen=True, slots=True)
class _Packet:
    """pts, dts: ticks; None where the file does not say, or the packet is hidden. hidden: by an edit list."""

    pts: int | None
    dts: int | None
    duration: int
    position: int
    hidden: bool


def read_clock(container: Any, stream: Any, path: Path) -> Clock:
    """Read all packets of a film's pictures and work out its clock.

    Args:
        container: The open film, of which no packet has been read yet.
        stream: Its pictures.
        path: Its file.
    """
    every = [
        _Packet(packet.pts, packet.dts, packet.duration or 0, position, bool(packet.is_discard))
        for packet, position in with_positions(demux_packets(container, stream))
    ]
    packets = [packet for packet in every if not packet.hidden]
    context, tick = stream.codec_context, Fraction(stream.time_base or _TICK)
    name = container.format.name
    hints = [Fraction(rate) for rate in (context.framerate, stream.average_rate, stream.base_rate) if rate]
    times = _own_times(packets, name)
    if times is not None and hints and _usual(times) * tick > _SLOW and hints[0] >= 1:
        times = None  # the codec knows better
    recordings: list[Recording] = []
    if times is None:
        rate = estimate_frame_rate([], tick, hints)
        packets = [replace(packet, duration=0) for packet in packets]
        tick = tick if 2 * tick * rate < 1 else 1 / rate
        stamps = [round(number / rate / tick) for number in range(len(packets))]
    else:
        usual = _usual(times)
        starts = _jumps(packets, times, tick, usual, stream, path)
        recordings = _recordings(packets, times, starts, tick, usual)
        stamps = _spread(_closed(times, starts, recordings, tick), usual)
        # FFmpeg guesses rates of GIF.
        rate = estimate_frame_rate(sorted(stamps), tick, () if name == "gif" else hints, summed=name == "apng")
        if name == "apng":
            stamps = _unrounded(stamps, 1 / (rate * tick))
    rises = all(before <= after for before, after in pairwise(stamps))
    return Clock(
        rate,
        tick,
        _end(packets, stamps, rate, tick),
        len(packets),
        None if stamps == [packet.pts for packet in packets] else tuple(_with_hidden(every, stamps)),
        rises if context.reorder_depth else not rises,
        tuple(recordings),
    )


def _own_times(packets: Sequence[_Packet], name: str) -> list[int | None] | None:
    """When packets are shown by their own account, in ticks; None if they do not tell."""
    presented = [packet.pts for packet in packets]
    decoded = [packet.dts for packet in packets if packet.dts is not None]
    told = _told(packets)
    if name != "avi" and 2 * told > len(packets):
        return presented
    # AVI knows only the order of decoding; FFmpeg's guess at the rest is wrong for H.264.
    if len(decoded) == len(packets) and all(before < after for before, after in pairwise(decoded)):
        return list(decoded)
    if 2 * told > len(packets):
        return presented
    filled: list[int | None] = []
    for packet in packets:
        known = packet.dts is not None or not filled or filled[-1] is None
        filled.append(packet.dts if known else filled[-1] + packet.duration)  # type: ignore[operator]
    return filled if len({*filled}) > len(packets) // 2 else None


def _told(packets: Sequence[_Packet]) -> int:
    """How many packets have a time of their own. They may come again in a recording that follows."""
    seen: set[int] = set()
    told, last = 0, None
    for packet in packets:
        if packet.dts is not None:
            if last is not None and packet.dts < last:
                seen.clear()
            last = packet.dts
        if packet.pts is not None and packet.pts not in seen:
            seen.add(packet.pts)
            told += 1
    return told


def _usual(times: Sequence[int | None]) -> int:
    """The usual interval between pictures, in ticks, at least 1."""
    known = sorted({time for time in times if time is not None})
    return median_low([after - before for before, after in pairwise(known)] or [1])


def _may_jump(container: Any) -> bool:
    return bool(container.format.flags & Flags.ts_discont.value) or container.format.name in _JUMPING


def _jumps(
    packets: Sequence[_Packet], times: Sequence[int | None], tick: Fraction, usual: int, stream: Any, path: Path
) -> list[int]:
    """The numbers of the packets with which the clock jumps."""
    container, ahead = stream.container, REORDERED if stream.codec_context.reorder_depth else 0
    decoded = [(n, packet.dts) for n, packet in enumerate(packets) if packet.dts is not None]
    # Matroska stores no times of decoding; FFmpeg's follow behind.
    if 2 * len(decoded) >= len(packets) and not container.format.name.startswith("matroska"):
        steps = [(n, before, time, after) for (before, time), (n, after) in pairwise(decoded)]
    else:
        steps = _steps([(n, time) for n, time in enumerate(times) if time is not None], ahead)
    back = max(_BACK / tick, Fraction(usual))
    backwards = [n for n, _, time, after in steps if time - after > back]
    limit = max(_FORTH / tick, Fraction(_FORTH_USUAL * usual))
    likely = bool(backwards) or _may_jump(container)
    forwards = [
        n
        for n, before, time, after in steps
        if after - time > limit and _is_jump(path, (packets[before], packets[n]), (time * tick, after * tick), likely)
    ]
    return sorted(backwards + forwards)


def _steps(shown: Sequence[tuple[int, int]], ahead: int) -> list[tuple[int, int, int, int]]:
    """Steps of times of showing: numbers of the later and the earlier packet, time of the earlier, of the later.

    ahead: by how many packets one that is shown later may come earlier; within that, steps back are none.
    """
    steps = []
    latest: list[tuple[int, int]] = []  # time and number of the latest picture, up to each packet of the recording
    for place, (number, time) in enumerate(shown):
        settled = latest[-ahead - 1] if len(latest) > ahead else None
        if settled is not None and time < settled[0]:
            steps.append((number, settled[1], settled[0], time))
            latest = []
        elif latest and time > latest[-1][0]:
            behind = (following for _, following in shown[place + 1 : place + 1 + ahead])
            if not any(latest[-1][0] < other < time for other in behind):
                steps.append((number, latest[-1][1], latest[-1][0], time))
        latest.append(max(latest[-1], (time, number)) if latest else (time, number))
    return steps


def _is_jump(path: Path, packets: tuple[_Packet, _Packet], times: tuple[Fraction, Fraction], likely: bool) -> bool:
    """Whether the clock jumps between two pictures; otherwise the first is held for long. Sound tells.

    times: of the two, s. likely: whether the clock jumps unless sound goes on meanwhile; otherwise it does so only if
    sound stops and goes on behind, or nobody would hold a picture for so long.
    """
    begin, end = times[0] + AHEAD, times[1] - AHEAD
    first, last = packets[0].position, packets[1].position
    resumed = False
    with open_film(path) as container:
        for stream in container.streams.audio[:1]:
            for packet, position in with_positions(demux_packets(container, stream)):
                stamp = packet.dts if packet.pts is None else packet.pts
                if stamp is None:
                    continue
                # Where clocks jump more than once, times alone do not tell which packets lie between.
                between = not likely or first <= position <= last
                if between and begin < stamp * packet.time_base < end:
                    return False
                resumed = resumed or stamp * packet.time_base >= end
    return likely or resumed or times[1] - times[0] > _FORTH_STEADY


def _recordings(
    packets: Sequence[_Packet], times: Sequence[int | None], starts: Sequence[int], tick: Fraction, usual: int
) -> list[Recording]:
    """The recordings that begin with packets of these numbers, moved so that they follow each other."""
    found: list[Recording] = []
    for first, behind in pairwise([0, *starts, len(packets)]) if starts else ():
        known = [time for time in times[first:behind] if time is not None]
        if not known:
            known = [0]
        begin, end = min(known) * tick, max(known) * tick
        shift = found[-1].end + found[-1].shift + usual * tick - begin if found else Fraction(0)
        found.append(Recording(packets[first].position, begin, end, shift))
    return found


def _closed(
    times: Sequence[int | None], starts: Sequence[int], recordings: Sequence[Recording], tick: Fraction
) -> list[int | None]:
    """The times on one clock, without the jumps."""
    closed = list(times)
    for recording, (first, behind) in zip(recordings, pairwise([0, *starts, len(times)]), strict=bool(starts)):
        shift = round(recording.shift / tick)
        closed[first:behind] = [None if time is None else time + shift for time in times[first:behind]]
    return closed


def _spread(times: Sequence[int | None], usual: int) -> list[int]:
    """The times, with those that are missing or given twice put into gaps close by; twice again where there is none."""
    spread: list[int] = []
    taken = {time for time in times if time is not None}
    seen: set[int] = set()
    for number, time in enumerate(times):
        if time is None or time in seen:
            around = [t for t in times[max(0, number - REORDERED) : number + REORDERED] if t is not None]
            near = sorted({*around, *spread[-REORDERED:]})
            gaps = [a + min(usual, (b - a) // 2) for a, b in pairwise(near) if 2 * (b - a) >= 3 * usual and b - a > 1]
            free = [gap for gap in gaps if gap not in taken]
            last = spread[-1] if spread else 0
            time = min(free, key=lambda gap: abs(gap - (last + usual)), default=last if time is None else time)
        seen.add(time)
        taken.add(time)
        spread.append(time)
    return spread


def _unrounded(stamps: Sequence[int], step: Fraction) -> list[int]:
    """Times that sum rounded intervals, in ticks, without what the rounding has summed up to; step: the clock's."""
    place, result = Fraction(stamps[0] if stamps else 0), list(stamps[:1])
    for before, after in pairwise(stamps):
        interval = after - before
        count = round(interval / step)
        place += count * step if abs(interval - count * step) <= Fraction(3, 4) else interval
        result.append(round(place))
    return result


def _end(packets: Sequence[_Packet], stamps: Sequence[int], rate: Fraction, tick: Fraction) -> Fraction:
    """When the last picture ends, s."""
    if not packets:
        return Fraction(0)
    last = max(range(len(stamps)), key=stamps.__getitem__)
    return stamps[last] * tick + last_duration(packets[last].duration * tick, rate, tick)


def last_duration(duration: Fraction, rate: Fraction, tick: Fraction) -> Fraction:
    """How long a last picture stands, s, given what its file says: an interval if that is rounded, 0 or absurd."""
    rounded = abs(duration - 1 / rate) <= rounding_tolerance(rate, tick)
    return 1 / rate if rounded or not 0 < duration <= _FORTH_STEADY else duration


def _with_hidden(every: Sequence[_Packet], stamps: Sequence[int]) -> Iterator[int | None]:
    following = iter(stamps)
    for packet in every:
        yield packet.pts if packet.hidden else next(following)
