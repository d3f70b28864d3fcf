"""Synthetic cartoon scenes, drawn on the fly, with exact truth: the frame between, flows, occlusion, layers.

    dice ──► cast (who plays, how they move) ──► painted textures ──► layers drawn at 0, t, 1 ──► grading, degradation
                                                                  └──► their maps give flow and occlusion

A scene depends on its seed and index alone, not on the batch. Flow is (N, 2, H, W) float32, x first, px: that of the
front-most layer with alpha 0.5 or more. Only frames 0 and 1 are degraded; the truth is clean.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animeinterp.data.synthetic.assets import load_art
from animeinterp.data.synthetic.compositing import Layers, absent, draw, follow, hidden, layers_of, pixel_grid
from animeinterp.data.synthetic.degrade import degrade, grade, grain_tile
from animeinterp.data.synthetic.rng import SceneRng
from animeinterp.data.synthetic.scene_spec import cast_scenes
from animeinterp.data.synthetic.simulated_sgm import SimulatedFlow, simulate_sgm
from animeinterp.data.synthetic.textures import paint_backdrops, paint_layers
from animeinterp.data.types import Batch, Triplet
from animeinterp.errors import UsageError

MIN_SIDE = 32
_BACKGROUND_MARGIN = 1.5  # a background is kept this much larger than the frame
# px of frames drawn together: on the CPU they should fit the cache, on a GPU keep it busy
_TOGETHER = {"cpu": 256 * 256, "cuda": 32 * 256 * 256}


class Scenes(NamedTuple):
    """N scenes, all on one device.

    frame0, truth, frame1: (N, 3, H, W) float32 RGB in [0, 1], at the times 0, t, 1. t: (N,) in (0, 1).
    flow01, flow10, flow0t, flow1t: (N, 2, H, W) float32, x first, px; flow0t lives on frame 0's grid.
    occluded01, occluded10: (N, 1, H, W) float32, 1 where what a pixel of frame 0 (1) shows is not seen at time 1 (0):
    covered by a layer in front, outside the frame, or vanished.
    known0, known1: (N, 1, H, W) float32, 1 where flow01 (flow10) means something: what is seen exists in both frames.
    label0, label1: (N, H, W) int64, the rank of the layer seen, 0 the background; the same layer has one rank.
    """

    frame0: Tensor
    truth: Tensor
    frame1: Tensor
    t: Tensor
    flow01: Tensor
    flow10: Tensor
    flow0t: Tensor
    flow1t: Tensor
    occluded01: Tensor
    occluded10: Tensor
    known0: Tensor
    known1: Tensor
    label0: Tensor
    label1: Tensor


class SceneSource:
    """Draws scenes out of art that is loaded once; safe to use from several threads."""

    def __init__(
        self,
        assets_folder: Path | None,
        size: int | tuple[int, int] = 256,
        device: str | torch.device = "cpu",
        *,
        max_sprites: int = 600,
        degraded: bool = True,
        seed: int = 0,
    ) -> None:
        """Load the art.

        assets_folder: see `scenes.art`; None plays with shapes drawn here alone. size: side or (height, width) of the
        frames, px, at least 32. max_sprites: how many are kept, 0.26 MB each, chosen by `seed`.
        degraded: whether frames 0 and 1 may be compressed and grainy. Raises FileError if the assets cannot be read.
        """
        self.size = (size, size) if isinstance(size, int) else size
        self.device = torch.device(device)
        self._degraded = degraded
        side = round(max(self.size) * _BACKGROUND_MARGIN)
        self._art = load_art(assets_folder, side, max_sprites, seed, self.device)
        self._grain = grain_tile(seed).to(self.device)

    def scenes(self, batch: int, seed: int, start: int = 0) -> Scenes:
        """Scenes start, start + 1, … of the seed, `batch` of them; the same ones each time. None may be negative."""
        return self._scenes(self.size, seed, range(start, start + batch))

    def samples(self, batch: int, seed: int, start: int = 0) -> Batch:
        """The same scenes as training samples, with imitated guidance, which is drawn for the batch as a whole."""
        return self._samples(self.size, seed, range(start, start + batch))

    def batches(self, batch_size: int, size: int, seed: int, *, start: int, rank: int, world: int) -> Iterator[Batch]:
        """Endless batches of samples of `size` x `size` px, beginning with batch number `start`.

        What comes depends on the arguments only; the `world` ranks get different samples.
        """
        for number in itertools.count(start):
            first = (number * world + rank) * batch_size
            yield self._samples((size, size), seed, range(first, first + batch_size))

    def _samples(self, size: tuple[int, int], seed: int, indices: range) -> Batch:
        scenes = self._scenes(size, seed, indices)
        entropy = np.random.SeedSequence((seed, indices.start)).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(entropy >> 1))
        return to_samples(scenes, simulate_sgm(scenes, generator))

    @torch.no_grad()
    def _scenes(self, size: tuple[int, int], seed: int, indices: range) -> Scenes:
        if min(size) < MIN_SIDE or not indices:
            wanted, got = f"{MIN_SIDE}x{MIN_SIDE} px", f"{len(indices)} of {size[1]}x{size[0]} px"
            raise UsageError(
                f"expected at least one scene of at least {wanted}, got {got}; ask for more or larger ones"
            )
        chunk = max(1, _TOGETHER.get(self.device.type, 256 * 256) // (size[0] * size[1]))
        parts = [self._drawn(size, seed, indices[at : at + chunk]) for at in range(0, len(indices), chunk)]
        return Scenes(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))

    def _drawn(self, size: tuple[int, int], seed: int, indices: range) -> Scenes:
        dice = SceneRng(seed, indices)
        cast = cast_scenes(dice, size, len(self._art.sprites), len(self._art.backgrounds))
        textures = paint_layers(cast.looks, self._art, max(size))
        layers = layers_of(cast, paint_backdrops(cast, self._art), textures, size)
        t = torch.from_numpy(cast.times[1]).float().to(self.device)
        scenes = scenes_of(layers, t, size)
        frame0, truth, frame1 = grade([scenes.frame0, scenes.truth, scenes.frame1], dice)
        if self._degraded:
            frame0, frame1 = degrade([frame0, frame1], dice, self._grain)
        frame0, truth, frame1 = (torch.round(frame * 255) / 255 for frame in (frame0, truth, frame1))
        return scenes._replace(frame0=frame0, truth=truth, frame1=frame1)


def scenes_of(layers: Layers, t: Tensor, size: tuple[int, int]) -> Scenes:
    """Draw layers at their three times and work out the truth. t: (N,). size: height, width."""
    (frame0, label0), (truth, _), (frame1, label1) = (draw(layers, time, size) for time in range(3))
    grid = pixel_grid((0, size[0], 0, size[1]), t.device)
    in_truth0, in_frame1 = follow(layers, label0, 0, (1, 2))
    in_truth1, in_frame0 = follow(layers, label1, 2, (1, 0))
    occluded01, occluded10 = hidden(layers, label0, in_frame1, 2), hidden(layers, label1, in_frame0, 0)
    known0, known1 = ~absent(layers, label0, 2), ~absent(layers, label1, 0)
    return Scenes(
        frame0=frame0, truth=truth, frame1=frame1, t=t,
        flow01=in_frame1 - grid, flow10=in_frame0 - grid, flow0t=in_truth0 - grid, flow1t=in_truth1 - grid,
        occluded01=occluded01[:, None].float(), occluded10=occluded10[:, None].float(),
        known0=known0[:, None].float(), known1=known1[:, None].float(), label0=label0, label1=label1,
    )  # fmt: skip


def to_samples(scenes: Scenes, guidance: SimulatedFlow) -> Batch:
    """Scenes and what matching says of them, real or imitated, as training samples."""
    return Batch(
        frame0=scenes.frame0, frame1=scenes.frame1, t=scenes.t, truth=scenes.truth,
        coarse01=guidance.coarse01, coarse10=guidance.coarse10,
        confidence0=guidance.confidence0, confidence1=guidance.confidence1,
        flow01=scenes.flow01 * scenes.known0, flow10=scenes.flow10 * scenes.known1,
        known0=scenes.known0, known1=scenes.known1,
    )  # fmt: skip


SIZE = (432, 640)  # height, width, px: crops of a few hundred px see matching done on more than themselves


def triplets(folder: Path, seeds: Sequence[int]) -> Iterator[Triplet]:
    """Scenes without end, the same for the same seeds; folder: of assets, see `scenes.art`."""
    source = _source(folder)
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    for index in itertools.count():
        scene = source.scenes(1, seed, index)
        yield Triplet(
            frame0=_picture(scene.frame0),
            truth=_picture(scene.truth),
            frame1=_picture(scene.frame1),
            t=float(scene.t[0]),
            flow01=(scene.flow01 * scene.known0)[0].numpy(),
            flow10=(scene.flow10 * scene.known1)[0].numpy(),
            known0=scene.known0[0, 0].numpy() > 0,
            known1=scene.known1[0, 0].numpy() > 0,
        )


@lru_cache(maxsize=1)
def _source(folder: Path) -> SceneSource:
    return SceneSource(folder, SIZE)


def _picture(frame: Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rint(frame[0].numpy().transpose(1, 2, 0) * 255).astype(np.uint8))
