"""Synthetic cartoon scenes, rendered on the fly, with exact ground truth: middle frame, flow, occlusion, layers.

    SceneRng ──► SceneSpec ──► textures ──► layers rendered at 0, t, 1 ──► grading, degradation
                                       └──► their maps give flow and occlusion

A scene depends on its seed and index only, not on the batch. Flow is (N, 2, H, W) float32, x first, px: that of the
front-most layer with alpha 0.5 or more. Only frames 0 and 1 are degraded; the true frame between them is clean.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from animeinterp.data.synthetic.assets import load_assets
from animeinterp.data.synthetic.compositing import Layers, build_layers, find_absent, find_hidden, follow_points, render
from animeinterp.data.synthetic.degrade import degrade, grade, grain_tile
from animeinterp.data.synthetic.rng import SceneRng
from animeinterp.data.synthetic.scene_spec import sample_scenes
from animeinterp.data.synthetic.simulated_sgm import SimulatedFlow, simulate_sgm
from animeinterp.data.synthetic.textures import paint_backgrounds, paint_layers
from animeinterp.data.types import Batch, Triplet
from animeinterp.errors import UsageError
from animeinterp.frame import RGBImage
from animeinterp.net.ops.geometry import pixel_grid

MIN_SIDE = 32  # px
TRIPLET_SIZE = (432, 640)  # height, width, px; larger than the crops, so that they see coarse flow of a whole frame
_BACKGROUND_SCALE = 1.5  # of a background relative to the frame
# px of frames rendered together: on the CPU they should fit the cache, on a GPU keep it busy.
_CHUNK_PIXELS = {"cpu": 256 * 256, "cuda": 32 * 256 * 256}


class Scenes(NamedTuple):
    """N scenes, all on one device.

    Attributes:
        frame0: (N, 3, H, W) float32 RGB in [0, 1], at time 0.
        truth: (N, 3, H, W), at time t.
        frame1: (N, 3, H, W), at time 1.
        t: (N,) in (0, 1).
        flow01: (N, 2, H, W) float32, x first, px, from frame 0 to frame 1.
        flow10: (N, 2, H, W), from frame 1 to frame 0.
        flow0t: (N, 2, H, W), from frame 0 to time t.
        flow1t: (N, 2, H, W), from frame 1 to time t.
        occluded01: (N, 1, H, W) float32, 1 where the point at a pixel of frame 0 is not visible in frame 1: covered by
            a layer in front, outside the frame, or absent.
        occluded10: (N, 1, H, W), the same for frame 1 in frame 0.
        known0: (N, 1, H, W) float32, 1 where flow01 is defined: the layer is present in both frames.
        known1: (N, 1, H, W), 1 where flow10 is defined.
        label0: (N, H, W) int64, rank of the visible layer of frame 0, 0 for the background; the same in both frames.
        label1: (N, H, W) int64, of frame 1.
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
    """Renders scenes from assets that are loaded once; safe to use from several threads."""

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
        """Load the assets.

        Args:
            assets_folder: See `animeinterp.data.synthetic.assets`; None for generated shapes only.
            size: Side or (height, width) of the frames, px, at least 32.
            device: Device to render on.
            max_sprites: Most sprites to load, 0.26 MB each.
            degraded: Whether frames 0 and 1 may be compressed and grainy.
            seed: Chooses the sprites and generates shapes, backgrounds and grain.

        Raises:
            FileError: The assets cannot be read.
        """
        self.size = (size, size) if isinstance(size, int) else size
        self.device = torch.device(device)
        self._degraded = degraded
        side = round(max(self.size) * _BACKGROUND_SCALE)
        self._assets = load_assets(assets_folder, side, max_sprites, seed, self.device)
        self._grain = grain_tile(seed).to(self.device)

    @torch.no_grad()
    def scenes(self, batch: int, seed: int, start: int = 0, size: tuple[int, int] | None = None) -> Scenes:
        """Render `batch` scenes of a seed, from number `start` on; `size` replaces the size of the source.

        Raises:
            UsageError: There are no scenes, or they are smaller than `MIN_SIDE`.
        """
        height, width = size = size or self.size
        if min(size) < MIN_SIDE or batch < 1:
            raise UsageError(
                f"expected one or more scenes of at least {MIN_SIDE}x{MIN_SIDE} px, got {batch} of {width}x{height} px"
            )
        indices = range(start, start + batch)
        chunk = max(1, _CHUNK_PIXELS.get(self.device.type, 256 * 256) // (height * width))
        parts = [self._render_chunk(size, seed, indices[at : at + chunk]) for at in range(0, batch, chunk)]
        return Scenes._make(torch.cat(tensors) for tensors in zip(*parts, strict=True))

    def samples(self, batch: int, seed: int, start: int = 0, size: tuple[int, int] | None = None) -> Batch:
        """Render the same scenes as training samples; their simulated coarse flow depends on the whole batch."""
        scenes = self.scenes(batch, seed, start, size)
        entropy = np.random.SeedSequence((seed, start)).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(entropy >> 1))
        return to_batch(scenes, simulate_sgm(scenes, generator))

    def batches(self, batch_size: int, size: int, seed: int, *, start: int, rank: int, world: int) -> Iterator[Batch]:
        """Iterate over batches of training samples, see `animeinterp.training.loader.Source`."""
        for number in itertools.count(start):
            yield self.samples(batch_size, seed, (number * world + rank) * batch_size, (size, size))

    def _render_chunk(self, size: tuple[int, int], seed: int, indices: range) -> Scenes:
        rng = SceneRng(seed, indices)
        spec = sample_scenes(rng, size, len(self._assets.sprites), len(self._assets.backgrounds))
        textures = paint_layers(spec.styles, self._assets, max(size))
        layers = build_layers(spec, paint_backgrounds(spec, self._assets), textures, size)
        t = torch.from_numpy(spec.times[1]).float().to(self.device)
        scenes = render_scenes(layers, t, size)
        frame0, truth, frame1 = grade([scenes.frame0, scenes.truth, scenes.frame1], rng)
        if self._degraded:
            frame0, frame1 = degrade([frame0, frame1], rng, self._grain)
        frame0, truth, frame1 = (torch.round(frame * 255) / 255 for frame in (frame0, truth, frame1))
        return scenes._replace(frame0=frame0, truth=truth, frame1=frame1)


def render_scenes(layers: Layers, t: Tensor, size: tuple[int, int]) -> Scenes:
    """Render layers at their three times and compute the ground truth.

    Args:
        layers: Layers of N scenes.
        t: (N,) in (0, 1).
        size: Height and width of the frames, px.
    """
    (frame0, label0), (truth, _), (frame1, label1) = (render(layers, time, size) for time in range(3))
    grid = pixel_grid(frame0)
    points0t, points01 = follow_points(layers, label0, 0, (1, 2))
    points1t, points10 = follow_points(layers, label1, 2, (1, 0))
    occluded01, occluded10 = find_hidden(layers, label0, points01, 2), find_hidden(layers, label1, points10, 0)
    known0, known1 = ~find_absent(layers, label0, 2), ~find_absent(layers, label1, 0)
    return Scenes(
        frame0=frame0, truth=truth, frame1=frame1, t=t,
        flow01=points01 - grid, flow10=points10 - grid, flow0t=points0t - grid, flow1t=points1t - grid,
        occluded01=occluded01[:, None].float(), occluded10=occluded10[:, None].float(),
        known0=known0[:, None].float(), known1=known1[:, None].float(), label0=label0, label1=label1,
    )  # fmt: skip


def to_batch(scenes: Scenes, coarse: SimulatedFlow) -> Batch:
    """Convert scenes and their coarse flow to training samples."""
    return Batch(
        frame0=scenes.frame0, frame1=scenes.frame1, t=scenes.t, truth=scenes.truth, **coarse._asdict(),
        flow01=scenes.flow01 * scenes.known0, flow10=scenes.flow10 * scenes.known1,
        known0=scenes.known0, known1=scenes.known1,
    )  # fmt: skip


def triplets(folder: Path | None, seeds: Sequence[int]) -> Iterator[Triplet]:
    """Render triplets of `TRIPLET_SIZE`, endlessly, the same for the same seeds.

    Args:
        folder: Assets folder, see `animeinterp.data.synthetic.assets`; None for generated shapes only.
        seeds: Combined into one seed.
    """
    source = _source(folder)
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    for index in itertools.count():
        scene = source.scenes(1, seed, index)
        yield Triplet(
            frame0=_to_image(scene.frame0),
            truth=_to_image(scene.truth),
            frame1=_to_image(scene.frame1),
            t=float(scene.t[0]),
            flow01=(scene.flow01 * scene.known0)[0].numpy(),
            flow10=(scene.flow10 * scene.known1)[0].numpy(),
            known0=scene.known0[0, 0].numpy() > 0,
            known1=scene.known1[0, 0].numpy() > 0,
        )


@lru_cache(maxsize=1)
def _source(folder: Path | None) -> SceneSource:
    return SceneSource(folder, TRIPLET_SIZE)


def _to_image(frame: Tensor) -> RGBImage:
    return np.ascontiguousarray(np.rint(frame[0].numpy().transpose(1, 2, 0) * 255).astype(np.uint8))
