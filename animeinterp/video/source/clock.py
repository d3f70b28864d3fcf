"""The steady clock of a film: from times in its file to the times at which its frames are shown.

Containers round times, omit them, repeat them, and restart them where recordings were joined. `scan.read_clock`
measures the corrections; `Clock` applies them to packets and decoded frames. A tick is the time base of the file's
video stream, s. The module does not read files.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import av
from av.stream import Stream

REORDER_DEPTH = 16  # frames by which decoding precedes presentation, at most, in H.264 and H.265
INTERLEAVING = 1  # s between audio packets and the frames of their recording, at most
_REORDER_MARGIN = 2  # frames more than a decoder declares

AnyPacket: TypeAlias = "av.Packet[Stream]"


@dataclass(frozen=True, slots=True)
class Recording:
    """A part of a film with a continuous clock.

    Attributes:
        position: Offset of its first packet in the file, bytes.
        begin: Earliest time of its frames on its own clock, s.
        end: Latest time of its frames on its own clock, s.
        shift: Offset from its own clock to the film's, s.
    """

    position: int
    begin: Fraction
    end: Fraction
    shift: Fraction

    def distance(self, time: Fraction) -> Fraction:
        """Return the distance of a time from the recording, s; 0 inside of it."""
        return max(self.begin - time, time - self.end, Fraction(0))


@dataclass(frozen=True, slots=True)
class Clock:
    """The steady clock of a film.

    Attributes:
        rate: Frame rate, frames per second.
        tick: Unit of times in the file, s.
        end: Time at which the last frame ends, s.
        frames: Number of frames.
        timestamps: Corrected times of the video packets, ticks, in file order; None if those in the file are right.
        is_disordered: Whether the file gives times out of order, so that frames take them in presentation order.
        recordings: The recordings that the file joins; empty if its clock never jumps.
    """

    rate: Fraction = Fraction(24)
    tick: Fraction = Fraction(1, 90_000)
    end: Fraction = Fraction(0)
    frames: int = 0
    timestamps: tuple[int | None, ...] | None = None
    is_disordered: bool = False
    recordings: tuple[Recording, ...] = ()

    @property
    def may_seek(self) -> bool:
        """Whether times in the file are those of this clock."""
        return self.timestamps is None and not self.recordings

    def retime_packets(self, packets: Iterable[AnyPacket | None]) -> Iterator[AnyPacket | None]:
        """Yield video packets with times of this clock.

        Args:
            packets: All video packets from the start of the file; None for each unreadable place.
        """
        timestamps = iter(self.timestamps or ())
        for packet in packets:
            if packet is not None and self.timestamps is not None:
                if packet.size:
                    packet.pts = next(timestamps, packet.pts)
                if packet.time_base != self.tick:
                    packet.time_base, packet.duration = self.tick, 0
            yield packet

    def sort_times(self, frames: Iterable[av.VideoFrame], decoder: av.VideoCodecContext) -> Iterator[av.VideoFrame]:
        """Yield decoded frames with rising times.

        Each frame takes the earliest remaining time among its own and those of the frames that follow it closely.

        Args:
            frames: Frames in presentation order.
            decoder: The decoder of the frames; its reorder depth limits the search.
        """
        waiting: deque[av.VideoFrame] = deque()
        times: list[int] = []
        for frame in frames:
            if frame.pts is None:
                yield from _release(waiting, times, 0)
                yield frame
                continue
            waiting.append(frame)
            heapq.heappush(times, frame.pts)
            depth = REORDER_DEPTH if self.is_disordered else min(decoder.reorder_depth, REORDER_DEPTH)
            yield from _release(waiting, times, depth + _REORDER_MARGIN if depth else 0)
        yield from _release(waiting, times, 0)

    def shift_packet(self, packet: AnyPacket, position: int) -> AnyPacket:
        """Move a packet of any stream to this clock, in place.

        Args:
            packet: A packet with times of the file.
            position: Its offset in the file, bytes.

        Returns:
            The same packet.
        """
        time = packet_time(packet)
        if len(self.recordings) < 2 or time is None:
            return packet
        shift = round(self._find_recording(time, position).shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + shift
        packet.dts = None if packet.dts is None else packet.dts + shift
        return packet

    def _find_recording(self, time: Fraction, position: int) -> Recording:
        """Find the recording of a packet: by position, or a neighbor whose times are closer."""
        current = max((n for n, recording in enumerate(self.recordings) if position >= recording.position), default=0)
        nearest = sorted(range(len(self.recordings)), key=lambda number: abs(number - current))
        matches = [n for n in nearest if self.recordings[n].distance(time) <= INTERLEAVING]
        return self.recordings[(matches or [current])[0]]


def packet_time(packet: AnyPacket) -> Fraction | None:
    """Return the presentation time of a packet, else its decoding time, s; None if it has neither."""
    stamp = packet.dts if packet.pts is None else packet.pts
    return None if stamp is None else Fraction(stamp * packet.time_base)


def frame_time(frame: av.VideoFrame) -> Fraction | None:
    """Return the presentation time of a decoded frame, s; None if it has none."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def with_positions(packets: Iterable[AnyPacket | None]) -> Iterator[tuple[AnyPacket, int]]:
    """Yield packets that hold data, each with its offset in the file.

    Args:
        packets: Packets in file order; None for each unreadable place.

    Yields:
        The packet and its offset in bytes; the last known offset if its own is unknown.
    """
    position = 0
    for packet in packets:
        if packet is not None and packet.size:
            position = position if packet.pos is None or packet.pos < 0 else packet.pos
            yield packet, position


def _release(waiting: deque[av.VideoFrame], times: list[int], depth: int) -> Iterator[av.VideoFrame]:
    """Yield waiting frames with the earliest times until `depth` frames are left."""
    while len(waiting) > depth:
        frame = waiting.popleft()
        frame.pts = heapq.heappop(times)
        yield frame
