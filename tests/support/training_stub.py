"""A source of moving squares and a network so small that a training run takes a second.

Run as a program (`python training_stub.py CONFIG.json`) it acts as one process of torchrun.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from animeinterp.data.types import Batch
from animeinterp.net.cel.model import CelOutput
from animeinterp.net.flow_pair import CoarseFlowPair
from animeinterp.training.config import TrainingConfig, config_from, from_json

SHIFT = 4  # px from frame 0 to frame 1


class Squares:
    """A source of samples with a square that moves SHIFT px to the right; the coarse flow is exact."""

    def batches(self, batch_size: int, size: int, seed: int, start: int, rank: int, world: int) -> Iterator[Batch]:
        step = start
        while True:
            rng = np.random.default_rng([seed, step, rank])
            yield squares(batch_size, size, rng)
            step += 1


def squares(count: int, size: int, rng: np.random.Generator) -> Batch:
    frames = torch.full((3, count, 3, size, size), 0.9)
    inside0, inside1 = torch.zeros(count, 1, size, size), torch.zeros(count, 1, size, size)
    for n in range(count):
        x, y = (int(rng.integers(2, size - 14 - SHIFT)) for _ in range(2))
        color = torch.from_numpy(rng.random((3, 1, 1), np.float32)) * 0.7
        for frame, shift in zip(frames, (0, SHIFT // 2, SHIFT), strict=True):
            frame[n, :, y : y + 12, x + shift : x + shift + 12] = color
        inside0[n, :, y : y + 12, x : x + 12] = 1
        inside1[n, :, y : y + 12, x + SHIFT : x + SHIFT + 12] = 1
    right = torch.tensor([SHIFT, 0.0]).view(1, 2, 1, 1)
    flow01, flow10 = inside0 * right, -inside1 * right
    known = torch.ones(count, 1, size, size)
    half = torch.full((count,), 0.5)
    return Batch(
        frame0=frames[0], frame1=frames[2], t=half, truth=frames[1],
        coarse01=flow01, coarse10=flow10, confidence0=inside0, confidence1=inside1,
        flow01=flow01, flow10=flow10, known0=known, known1=known.clone(),
    )  # fmt: skip


class Tiny(nn.Module):
    """Two convolutions with the interface of the real network."""

    def __init__(self) -> None:
        super().__init__()
        self.matching = nn.Conv2d(12, 8, 3, padding=1)
        self.spare = nn.Conv2d(2, 2, 1)  # never used
        self.synthesis = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, frame0: Tensor, frame1: Tensor, coarse: CoarseFlowPair, t: Tensor) -> CelOutput:
        coarse01, coarse10, confidence0, confidence1 = coarse
        inputs = torch.cat([frame0, frame1, coarse01 / 8, coarse10 / 8, confidence0, confidence1], 1)
        outputs = self.synthesis(self.matching(inputs).relu()).float()
        frame = (frame0 + frame1) / 2 + outputs * t.view(-1, 1, 1, 1)
        return CelOutput(frame, self.synthesis.bias.square().sum())


def tiny() -> Tiny:
    torch.manual_seed(3)
    return Tiny()


def tiny_config(folder: Path, **changes: object) -> TrainingConfig:
    content = {
        "name": "tiny",
        "folder": str(folder),
        "source": [{"kind": "crops", "path": "none"}],
        "steps": 20,
        "batch": 2,
        "size": 32,
        "warm_up": 4,
        "learning_rate": 1e-3,
        "device": "cpu",
        "log_every": 5,
        "loss": {"census": 0.5, "log_error": 0.01},
    }
    return config_from({**content, **changes}, folder)


if __name__ == "__main__":
    from animeinterp.training.train import train

    torch.set_num_threads(1)
    train(from_json(Path(sys.argv[1]).read_text()), network=tiny(), sources=[(Squares(), 1.0)])
