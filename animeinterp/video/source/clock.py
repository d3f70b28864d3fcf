"""The steady clock of a film: how the times in its file become those at which pictures are shown."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

REORDERED = 16  # pictures at most that decoding runs ahead, in H.264 and H.265
AHEAD = 1  # s that a packet of sound lies before or behind the pictures of its recording
_MARGIN = 2  # pictures more than a decoder says


@dataclass(frozen=True, slots=True)
class Recording:
    """A part of a film whose clock is steady.

    position: of its first byte in the file. begin, end: between which times its pictures stand, s of its own clock.
    shift: s to be added to its times.
    """

    position: int
    begin: Fraction
    end: Fraction
    shift: Fraction

    def distance(self, time: Fraction) -> Fraction:
        """How far a time lies outside, s."""
        return max(self.begin - time, time - self.end, Fraction(0))


@dataclass(frozen=True, slots=True)
class Clock:
    """The steady clock of a film.

    rate: frames per second. tick: s, to which the file rounds. end: when the last picture ends, s. frames: how many
    pictures. stamps: new times of the picture packets, in ticks, in the order of the file; None = their own are right.
    disordered: whether times are given out of order, so that pictures take them in the order in which they come.
    recordings: of which the file is joined; none if its clock never jumps.
    """

    rate: Fraction = Fraction(24)
    tick: Fraction = Fraction(1, 90_000)
    end: Fraction = Fraction(0)
    frames: int = 0
    stamps: tuple[int | None, ...] | None = None
    disordered: bool = False
    recordings: tuple[Recording, ...] = ()

    @property
    def may_seek(self) -> bool:
        """Whether times in the file are those of this clock."""
        return self.stamps is None and not self.recordings

    def timed(self, packets: Iterable[Any | None]) -> Iterator[Any | None]:
        """The picture packets with times of this clock, from the beginning of the file on."""
        number = 0
        for packet in packets:
            if packet is not None and packet.size and self.stamps is not None:
                if number < len(self.stamps):
                    packet.pts = self.stamps[number]
                number += 1
            if packet is not None and self.stamps is not None and packet.time_base != self.tick:
                packet.time_base, packet.duration = self.tick, 0
            yield packet

    def in_order(self, pictures: Iterable[Any], decoder: Any) -> Iterator[Any]:
        """Decoded pictures, which come in the order of showing, with times that rise.

        Each takes the earliest of the times that are left, among its own and those of a few that follow.
        """
        waiting: deque[Any] = deque()
        times: list[int] = []
        for picture in pictures:
            if picture.pts is None:
                yield from _flushed(waiting, times, 0)
                yield picture
                continue
            waiting.append(picture)
            heapq.heappush(times, picture.pts)
            ahead = REORDERED if self.disordered else min(decoder.reorder_depth, REORDERED)
            yield from _flushed(waiting, times, ahead + _MARGIN if ahead else 0)
        yield from _flushed(waiting, times, 0)

    def shift_packet(self, packet: Any, position: int) -> Any:
        """A packet of another stream, which begins at a byte of the file, with times of this clock."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if len(self.recordings) < 2 or stamp is None:
            return packet
        shift = round(self._recording(stamp * packet.time_base, position).shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + shift
        packet.dts = None if packet.dts is None else packet.dts + shift
        return packet

    def _recording(self, time: Fraction, position: int) -> Recording:
        """To which recording a packet belongs: the one that it lies in, or a neighbor whose times are nearer."""
        here = 0
        for number, recording in enumerate(self.recordings):
            if position >= recording.position:
                here = number
        nearest = sorted(range(len(self.recordings)), key=lambda number: abs(number - here))
        fitting = [n for n in nearest if self.recordings[n].distance(time) <= AHEAD]
        return self.recordings[(fitting or [here])[0]]


def _flushed(waiting: deque[Any], times: list[int], kept: int) -> Iterator[Any]:
    while len(waiting) > kept:
        picture = waiting.popleft()
        picture.pts = heapq.heappop(times)
        yield picture


def with_positions(packets: Iterable[Any | None]) -> Iterator[tuple[Any, int]]:
    """Packets that hold data, with the byte at which they begin, or where the last one did of which that is known."""
    position = 0
    for packet in packets:
        if packet is not None and packet.size:
            position = position if packet.pos is None or packet.pos < 0 else packet.pos
            yield packet, position
