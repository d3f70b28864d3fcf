"""Composes shots by chance from a seed: which art, how large, where, and how each layer moves.

Over the shots of a set the motion of the main figure goes from 4 to 120 px between frames 1 and 3, in equal ratios, in
an order that the seed shuffles; three in four shots pan, and the background, the middle ground and the figures take
part in the pan by their depth. Shots have two, three and four figures in turn, in two of three shots they overlap.
Distances are in px of 960x540; other sizes scale with the frame's height.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from animeinterp.data.linear.art import Art
from animeinterp.data.linear.placing import FRAME_TIMES, Layer, Pair, transform_points

SMALLEST_MOTION, LARGEST_MOTION = 4.0, 120.0  # px of 960x540, of the main figure, from frame 1 to frame 3
HEIGHT = 540.0  # px, of the frame that distances are told for
_FIGURES = (2, 3, 4)
_TALL, _WIDE = (200.0, 430.0), 520.0  # px of 960x540, of a figure
_ENLARGED = 1.1  # px of the frame per px of a picture at most, else it is soft
_TURN, _BACK_TURN = 14.0, 1.5  # degrees from frame 1 to frame 3 at most
_GROWTH, _BACK_GROWTH = 0.12, 0.03  # likewise, of the logarithm of the scale
_TILT = 4.0  # degrees at t = 0.5 at most
_NECK = (0.15, 0.85)  # of a bust's width, where its lower edge is
_INSET = 2.0  # px of a picture that stay outside the frame at its edges
_GROW = 1.03  # step in which a layer is enlarged until it covers the frame

Size = tuple[int, int]  # width, height, px
SizeOf = Callable[[str], Size]
Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class Composition:
    """A shot: its layers from back to front. motion: of the main figure's anchor from frame 1 to frame 3, px."""

    name: str
    layers: tuple[Layer, ...]
    pan: Pair
    motion: float


def compose_shots(art: Art, count: int, seed: int, frame: Size, size_of: SizeOf) -> list[Composition]:
    """Compose the shots of a set; the same for the same arguments.

    Args:
        art: The art; all of it comes up before any of it comes again.
        count: How many shots.
        seed: Of everything that is left to chance.
        frame: Width and height of the frames, px.
        size_of: Width and height of a file of the art, px.
    """
    rng = np.random.default_rng(seed)
    ratio = LARGEST_MOTION / SMALLEST_MOTION
    motions = SMALLEST_MOTION * ratio ** (np.arange(count) / max(1, count - 1))
    motions = rng.permutation(motions) * frame[1] / HEIGHT
    backs, middles, figures = (_Deck(rng, names) for names in (art.backgrounds, art.middle, art.figures))
    shots = []
    for number in range(count):
        maker = _Maker(np.random.default_rng([seed, number]), frame, size_of, art.busts)
        cast = figures.draw(_FIGURES[number % len(_FIGURES)])
        middle = middles.draw(1) if art.middle and number % 2 else []
        shot = maker.shot(backs.draw(1)[0], middle, cast, float(motions[number]), number // 2 % 3 != 0)
        shots.append(replace(shot, name=f"linear_{number:03}"))
    return shots


class _Deck:
    """Names in an order left to chance, shuffled again when all were drawn."""

    def __init__(self, rng: Generator, names: tuple[str, ...]) -> None:
        self._rng, self._names, self._rest = rng, names, list[str]()

    def draw(self, count: int) -> list[str]:
        """So many different names."""
        drawn: list[str] = []
        while len(drawn) < count:
            if not self._rest:
                self._rest = [str(name) for name in self._rng.permutation(self._names) if name not in drawn]
            drawn.append(self._rest.pop())
        return drawn


class _Maker:
    """Makes one shot."""

    def __init__(self, rng: Generator, frame: Size, size_of: SizeOf, busts: frozenset[str]) -> None:
        self._rng, self._frame, self._size_of, self._busts = rng, frame, size_of, busts
        self._unit = frame[1] / HEIGHT

    def shot(self, back: str, middle: list[str], cast: list[str], motion: float, overlaps: bool) -> Composition:
        pan = self._vector(motion * self._rng.uniform(0.3, 0.9)) if self._rng.random() < 0.75 else (0.0, 0.0)
        layers = [self._covering(back, pan, 0.3)]
        figures = self._figures(cast, pan, motion, overlaps)
        # Mostly behind the figures, sometimes before the backmost of them.
        place = int(self._rng.random() < 0.35)
        for name in middle:
            figures.insert(place, self._standing(name, pan, 0.6 if not place else 0.95))
        layers += figures
        return Composition("", tuple(layers), pan, motion)

    def _figures(self, cast: list[str], pan: Pair, motion: float, overlaps: bool) -> list[Layer]:
        """The figures from back to front; the last one is the main one."""
        width, height = self._frame
        sizes = [self._figure_scale(name, index, len(cast)) for index, name in enumerate(cast)]
        wide = [self._size_of(name)[0] * scale for name, scale in zip(cast, sizes, strict=True)]
        slots = (self._rng.permutation(len(cast)) + 0.5) / len(cast)
        # Those that overlap stand in a row, so that each shows a good part of itself.
        side = 1 if self._rng.random() < 0.5 else -1
        x = (0.5 - side * self._rng.uniform(0.12, 0.3)) * width
        layers = []
        for index, (name, scale) in enumerate(zip(cast, sizes, strict=True)):
            if not overlaps:
                x = (0.1 + 0.8 * slots[index]) * width
            elif index:
                smaller, larger = sorted(wide[index - 1 : index + 1])
                step = (larger - smaller) / 2 + self._rng.uniform(0.35, 0.65) * smaller
                x = float(np.clip(x + side * step, 0.08 * width, 0.92 * width))
            y = self._rng.uniform(0.42, 0.68) * height
            main = index == len(cast) - 1
            depth = 0.75 + 0.35 * (index + 1) / len(cast)
            own = self._vector(motion if main else motion * self._rng.uniform(0.3, 1.2))
            moves = own if main else (own[0] + depth * pan[0], own[1] + depth * pan[1])
            change = self._rng.uniform(-_TURN, _TURN), self._rng.uniform(-_GROWTH, _GROWTH)
            tilt = self._rng.uniform(-_TILT, _TILT)
            layer = self._layer(name, scale, (float(x), float(y)), moves, change, depth, tilt)
            layers.append(self._sunk(layer) if name in self._busts else layer)
        return layers

    def _sunk(self, layer: Layer) -> Layer:
        """A bust so low that the edge where it is cut off is never seen, and no lower."""
        across, down = self._size_of(layer.file)
        edge = across * np.linspace(*_NECK, 9), np.full(9, down - 1 - _INSET)
        highest = min(float(transform_points(layer.to_frame(t), *edge)[1].min()) for t in FRAME_TIMES)
        sink = self._frame[1] - highest
        first, last = ((x, y + sink) for x, y in layer.position)
        return replace(layer, position=(first, last))

    def _figure_scale(self, name: str, index: int, count: int) -> float:
        """How large a figure is drawn, px per px of its picture; those in front tend to be larger."""
        across, down = self._size_of(name)
        low, high = (side * self._unit for side in _TALL)
        tall = low + (high - low) * self._rng.uniform(0.1, 0.65) + (high - low) * 0.35 * index / max(1, count - 1)
        return float(min(tall / down, _WIDE * self._unit / across, _ENLARGED))

    def _covering(self, name: str, pan: Pair, depth: float) -> Layer:
        """A background, as small as it covers the frame at all times."""
        width, height = self._frame
        across, down = self._size_of(name)
        scale = max(width / across, height / down)
        change = self._rng.uniform(-_BACK_TURN, _BACK_TURN), self._rng.uniform(-_BACK_GROWTH, _BACK_GROWTH)
        moves, shift = (depth * pan[0], depth * pan[1]), self._rng.uniform(-1, 1, 2)
        while True:
            scale *= _GROW
            # What is more than the frame needs is shared between both sides by chance.
            slack = (scale * across - width) / 4, (scale * down - height) / 4
            place = width / 2 + shift[0] * slack[0], height / 2 + shift[1] * slack[1]
            layer = self._layer(name, scale, place, moves, change, depth)
            if self._covers(layer, ((0, 0), (1, 0), (0, 1), (1, 1))):
                return layer

    def _standing(self, name: str, pan: Pair, depth: float) -> Layer:
        """A middle ground as wide as the frame; its lower edge is never seen."""
        width, height = self._frame
        across, down = self._size_of(name)
        scale = width / across * self._rng.uniform(1.0, 1.25)
        change = self._rng.uniform(-_BACK_TURN, _BACK_TURN), self._rng.uniform(-_BACK_GROWTH, _BACK_GROWTH)
        moves, shift = (depth * pan[0], depth * pan[1]), self._rng.uniform(-1, 1)
        sunk = 0.0
        while True:
            scale, sunk = scale * _GROW, sunk + 4 * self._unit
            place = width / 2 + shift * (scale * across - width) / 4, height + sunk - scale * down / 2
            layer = self._layer(name, scale, place, moves, change, depth)
            if self._covers(layer, ((0, 1), (1, 1)), above=True):
                return layer

    def _covers(self, layer: Layer, corners: tuple[tuple[int, int], ...], above: bool = False) -> bool:
        """Whether a picture reaches beyond corners of the frame at all times; above: its upper edge may be seen."""
        across, down = self._size_of(layer.file)
        for t in (*FRAME_TIMES, 0.25, 0.75):
            for right, low in corners:
                x, y = right * self._frame[0] - 0.5, low * self._frame[1] - 0.5
                u, v = transform_points(layer.to_picture(t), x, y)
                if not (_INSET <= u <= across - 1 - _INSET and v <= down - 1 - _INSET and (above or v >= _INSET)):
                    return False
        return True

    def _layer(
        self, name: str, scale: float, place: Pair, moves: Pair, change: Pair, depth: float, tilt: float = 0.0
    ) -> Layer:
        """A layer that is at `place`, of that scale and tilt, at t = 0.5.

        change: by how much it turns from frame 1 to frame 3, degrees, and the logarithm of its scale grows.
        """
        across, down = self._size_of(name)
        anchor = (across - 1) / 2, (down - 1) / 2
        first, last = ((place[0] + side * moves[0], place[1] + side * moves[1]) for side in (-0.5, 0.5))
        turns = tilt - change[0] / 2, tilt + change[0] / 2
        ends = scale * math.exp(-change[1] / 2), scale * math.exp(change[1] / 2)
        return Layer(name, anchor, (first, last), turns, ends, depth)

    def _vector(self, length: float) -> Pair:
        """A direction left to chance, rather across than up or down."""
        angle = self._rng.normal(0, 0.5) + (math.pi if self._rng.random() < 0.5 else 0)
        return length * math.cos(angle), length * math.sin(angle)
