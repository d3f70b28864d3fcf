"""Composes random shots from art: which art, at what size and position, and how each layer moves.

Over the shots of a set, the displacement of the main figure between frames 1 and 3 is distributed geometrically from 4
to 120 px, in random order. Three quarters of the shots pan; background, middle ground and figures follow the pan by
their depth. Shots have two, three and four figures in turn, which overlap in two of three shots. Distances are in px of
960x540; other sizes scale with the height of the frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from animeinterp.data.linear.art import Art
from animeinterp.data.linear.placing import FRAME_TIMES, Layer, Pair, transform_points

MIN_MOTION, MAX_MOTION = 4.0, 120.0  # px of 960x540, of the main figure, from frame 1 to frame 3
REFERENCE_HEIGHT = 540.0  # px, of the frame for which distances are stated
_FIGURE_COUNTS = (2, 3, 4)
_FIGURE_HEIGHTS, _MAX_FIGURE_WIDTH = (200.0, 430.0), 520.0  # px of 960x540
_MAX_SCALE = 1.1  # px of the frame per px of an image; larger scales look blurred
_MAX_ROTATION, _MAX_BACKGROUND_ROTATION = 14.0, 1.5  # degrees from frame 1 to frame 3
_MAX_GROWTH, _MAX_BACKGROUND_GROWTH = 0.12, 0.03  # of the logarithm of the scale, from frame 1 to frame 3
_MAX_TILT = 4.0  # degrees at t = 0.5
_PAN_PROBABILITY = 0.75
_BACKGROUND_DEPTH, _MIDDLE_DEPTH, _FRONT_MIDDLE_DEPTH = 0.3, 0.6, 0.95  # fraction of the pan
_FRONT_MIDDLE_PROBABILITY = 0.35  # that a middle ground is in front of the rearmost figure
_CUT_EDGE = (0.15, 0.85)  # part of a bust's width that its cut lower edge spans
_HIDDEN_EDGE = 2.0  # px of an image that must stay outside the frame
_COVER_STEP = 1.03  # factor by which a layer is enlarged until it covers the frame
_LOWER_STEP = 4.0  # px of 960x540 by which a middle ground is lowered at the same time
_CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))  # x, y as fractions of the frame
_LOWER_CORNERS = _CORNERS[2:]

Size = tuple[int, int]  # width, height, px
SizeOf = Callable[[str], Size]
Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class Composition:
    """A shot.

    Attributes:
        name: Name of the triplet.
        layers: Layers from back to front.
        pan: Camera pan from frame 1 to frame 3, (x, y) px.
        motion: Displacement of the main figure's anchor from frame 1 to frame 3, px.
    """

    name: str
    layers: tuple[Layer, ...]
    pan: Pair
    motion: float


def compose_shots(art: Art, count: int, seed: int, frame: Size, size_of: SizeOf) -> list[Composition]:
    """Compose the shots of a set.

    Args:
        art: The art; every file is used once before any is used again.
        count: Number of shots.
        seed: The same arguments give the same shots.
        frame: Width and height of the frames, px.
        size_of: Returns width and height of a file of the art, px.

    Returns:
        The shots.
    """
    rng = np.random.default_rng(seed)
    motions = MIN_MOTION * (MAX_MOTION / MIN_MOTION) ** (np.arange(count) / max(1, count - 1))
    motions = rng.permutation(motions) * frame[1] / REFERENCE_HEIGHT
    backgrounds, middles, figures = (_Deck(rng, names) for names in (art.backgrounds, art.middle, art.figures))
    shots = []
    for number in range(count):
        composer = _Composer(np.random.default_rng([seed, number]), frame, size_of, art.busts)
        cast = figures.draw(_FIGURE_COUNTS[number % len(_FIGURE_COUNTS)])
        middle = middles.draw(1) if art.middle and number % 2 else []
        overlap = number // 2 % 3 != 0
        shot = composer.compose(backgrounds.draw(1)[0], middle, cast, float(motions[number]), overlap)
        shots.append(replace(shot, name=f"linear_{number:03}"))
    return shots


class _Deck:
    """Names in random order, shuffled again when all were drawn."""

    def __init__(self, rng: Generator, names: tuple[str, ...]) -> None:
        self._rng, self._names, self._rest = rng, names, list[str]()

    def draw(self, count: int) -> list[str]:
        """Draw `count` different names."""
        drawn: list[str] = []
        while len(drawn) < count:
            if not self._rest:
                self._rest = [str(name) for name in self._rng.permutation(self._names) if name not in drawn]
            drawn.append(self._rest.pop())
        return drawn


class _Composer:
    """Composes one shot."""

    def __init__(self, rng: Generator, frame: Size, size_of: SizeOf, busts: frozenset[str]) -> None:
        self._rng, self._frame, self._size_of, self._busts = rng, frame, size_of, busts
        self._unit = frame[1] / REFERENCE_HEIGHT  # px of the frame per px of 960x540

    def compose(self, background: str, middle: list[str], cast: list[str], motion: float, overlap: bool) -> Composition:
        pan = (0.0, 0.0)
        if self._rng.random() < _PAN_PROBABILITY:
            pan = self._random_shift(motion * self._rng.uniform(0.3, 0.9))
        layers = [self._place_background(background, pan)]
        figures = self._place_figures(cast, pan, motion, overlap)
        index = int(self._rng.random() < _FRONT_MIDDLE_PROBABILITY)
        for name in middle:
            figures.insert(index, self._place_middle(name, pan, _FRONT_MIDDLE_DEPTH if index else _MIDDLE_DEPTH))
        layers += figures
        return Composition("", tuple(layers), pan, motion)

    def _place_figures(self, cast: list[str], pan: Pair, motion: float, overlap: bool) -> list[Layer]:
        """Place the figures, from back to front; the last one is the main figure."""
        width, height = self._frame
        scales = [self._figure_scale(name, index, len(cast)) for index, name in enumerate(cast)]
        widths = [self._size_of(name)[0] * scale for name, scale in zip(cast, scales, strict=True)]
        slots = (self._rng.permutation(len(cast)) + 0.5) / len(cast)
        # Overlapping figures form a row, so that each shows a good part of itself.
        side = 1 if self._rng.random() < 0.5 else -1
        x = (0.5 - side * self._rng.uniform(0.12, 0.3)) * width
        layers = []
        for index, (name, scale) in enumerate(zip(cast, scales, strict=True)):
            if not overlap:
                x = (0.1 + 0.8 * slots[index]) * width
            elif index:
                smaller, larger = sorted(widths[index - 1 : index + 1])
                step = (larger - smaller) / 2 + self._rng.uniform(0.35, 0.65) * smaller
                x = float(np.clip(x + side * step, 0.08 * width, 0.92 * width))
            y = self._rng.uniform(0.42, 0.68) * height
            main = index == len(cast) - 1
            depth = 0.75 + 0.35 * (index + 1) / len(cast)
            shift = self._random_shift(motion if main else motion * self._rng.uniform(0.3, 1.2))
            if not main:
                shift = shift[0] + depth * pan[0], shift[1] + depth * pan[1]
            change = self._random_change(_MAX_ROTATION, _MAX_GROWTH)
            tilt = self._rng.uniform(-_MAX_TILT, _MAX_TILT)
            layer = self._place(name, scale, (float(x), float(y)), shift, change, depth, tilt)
            layers.append(self._lower(layer) if name in self._busts else layer)
        return layers

    def _lower(self, layer: Layer) -> Layer:
        """Lower a bust until its cut edge is just outside the frame at all times."""
        width, height = self._size_of(layer.file)
        edge = width * np.linspace(*_CUT_EDGE, 9), np.full(9, height - 1 - _HIDDEN_EDGE)
        highest = min(float(transform_points(layer.to_frame(t), *edge)[1].min()) for t in FRAME_TIMES)
        offset = self._frame[1] - highest
        first, last = ((x, y + offset) for x, y in layer.position)
        return replace(layer, position=(first, last))

    def _figure_scale(self, name: str, index: int, count: int) -> float:
        """Choose the scale of a figure, px per px of its image; figures in front tend to be larger."""
        width, height = self._size_of(name)
        low, high = (value * self._unit for value in _FIGURE_HEIGHTS)
        target = low + (high - low) * self._rng.uniform(0.1, 0.65) + (high - low) * 0.35 * index / max(1, count - 1)
        return float(min(target / height, _MAX_FIGURE_WIDTH * self._unit / width, _MAX_SCALE))

    def _place_background(self, name: str, pan: Pair) -> Layer:
        """Place a background at the smallest scale at which it covers the frame at all times."""
        (frame_width, frame_height), (width, height) = self._frame, self._size_of(name)
        scale = max(frame_width / width, frame_height / height)
        change = self._random_change(_MAX_BACKGROUND_ROTATION, _MAX_BACKGROUND_GROWTH)
        shift, offset = (_BACKGROUND_DEPTH * pan[0], _BACKGROUND_DEPTH * pan[1]), self._rng.uniform(-1, 1, 2)
        while True:
            scale *= _COVER_STEP
            slack = (scale * width - frame_width) / 4, (scale * height - frame_height) / 4
            position = frame_width / 2 + offset[0] * slack[0], frame_height / 2 + offset[1] * slack[1]
            layer = self._place(name, scale, position, shift, change, _BACKGROUND_DEPTH)
            if self._covers(layer, _CORNERS):
                return layer

    def _place_middle(self, name: str, pan: Pair, depth: float) -> Layer:
        """Place a middle ground as wide as the frame, with its lower edge outside the frame."""
        (frame_width, frame_height), (width, height) = self._frame, self._size_of(name)
        scale = frame_width / width * self._rng.uniform(1.0, 1.25)
        change = self._random_change(_MAX_BACKGROUND_ROTATION, _MAX_BACKGROUND_GROWTH)
        shift, offset, lowered = (depth * pan[0], depth * pan[1]), self._rng.uniform(-1, 1), 0.0
        while True:
            scale, lowered = scale * _COVER_STEP, lowered + _LOWER_STEP * self._unit
            x = frame_width / 2 + offset * (scale * width - frame_width) / 4
            layer = self._place(name, scale, (x, frame_height + lowered - scale * height / 2), shift, change, depth)
            if self._covers(layer, _LOWER_CORNERS, above=True):
                return layer

    def _covers(self, layer: Layer, corners: tuple[tuple[int, int], ...], above: bool = False) -> bool:
        """Check that an image covers corners of the frame at all times; `above` allows a visible upper edge."""
        width, height = self._size_of(layer.file)
        for t in (*FRAME_TIMES, 0.25, 0.75):
            for right, lower in corners:
                x, y = right * self._frame[0] - 0.5, lower * self._frame[1] - 0.5
                u, v = transform_points(layer.to_image(t), x, y)
                inside = _HIDDEN_EDGE <= u <= width - 1 - _HIDDEN_EDGE and v <= height - 1 - _HIDDEN_EDGE
                if not (inside and (above or v >= _HIDDEN_EDGE)):
                    return False
        return True

    def _place(
        self, name: str, scale: float, position: Pair, shift: Pair, change: Pair, depth: float, tilt: float = 0.0
    ) -> Layer:
        """Place a layer; position, scale and tilt are those at t = 0.5, `change` is from `_random_change`."""
        width, height = self._size_of(name)
        first, last = ((position[0] + side * shift[0], position[1] + side * shift[1]) for side in (-0.5, 0.5))
        rotation, growth = change
        return Layer(
            file=name,
            anchor=((width - 1) / 2, (height - 1) / 2),
            position=(first, last),
            rotation=(tilt - rotation / 2, tilt + rotation / 2),
            scale=(scale * math.exp(-growth / 2), scale * math.exp(growth / 2)),
            parallax=depth,
        )

    def _random_change(self, max_rotation: float, max_growth: float) -> Pair:
        """Choose rotation, degrees, and growth of the logarithm of the scale, both from frame 1 to frame 3."""
        return self._rng.uniform(-max_rotation, max_rotation), self._rng.uniform(-max_growth, max_growth)

    def _random_shift(self, length: float) -> Pair:
        """Choose a direction, rather horizontal than vertical."""
        angle = self._rng.normal(0, 0.5) + (math.pi if self._rng.random() < 0.5 else 0)
        return length * math.cos(angle), length * math.sin(angle)
