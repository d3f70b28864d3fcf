"""Score every candidate of the preset `studio` beside its result, in one pass over a data set.

    python benchmarks/candidates.py DATASET [--lpips FILE] [--best-t] [--fp32] --out FOLDER [--first I --every N]
                                   [--model NAME …]

`GMFSS union` and `RIFE 4.6` are the public networks as this package runs them, on whole frames, with nothing copied
from the inputs; they equal the originals within rounding (tests/net/test_studio_network.py). `cel` is the project's own
network alone. FOLDER gets scores.csv, which `animeinterp evaluate --peers` and benchmarks/tables.py read, and the
frames at t = 0.5 as MODEL/TRIPLET.png. The same command resumes an interrupted run. One triplet at a time, one thread.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch

from animeinterp import load_interpolator
from animeinterp.config import Options
from animeinterp.data.atd12k import list_triplets
from animeinterp.evaluation.evaluate import Fault, score
from animeinterp.evaluation.scores import TripletScores, read_rows, summarize, write_rows
from animeinterp.frame import RGBImage, from_planes
from animeinterp.io.files import make_folder
from animeinterp.io.images import write_image
from animeinterp.metrics.lpips import load_lpips
from animeinterp.net.adapters import FrameFeatures
from animeinterp.net.flow_pair import FlowPair
from animeinterp.net.studio.adapter import StudioNetwork
from animeinterp.net.studio.restoration import restore

NAMES = ("cel", "RIFE 4.6", "GMFSS union")  # in the order of `StudioNetwork.candidates`


class _Recorder(StudioNetwork):
    """A network that keeps the candidates of the last frame."""

    drawn: tuple[torch.Tensor, ...]

    def synthesize(
        self, frame0: FrameFeatures, frame1: FrameFeatures, flows: FlowPair, t: float, wanted: Any = None
    ) -> torch.Tensor:
        self.drawn = self.candidates(frame0, frame1, flows, t)
        return restore(*self.drawn, flows.state.grainy)


class _Shared:
    """Draws all models of a pair together, and caches the frames until the next pair."""

    def __init__(self, options: Options) -> None:
        self._interpolator = load_interpolator("studio", "cpu", options=options)
        networks = self._interpolator.learned[0]
        assert networks is not None
        self._network = _Recorder(networks)
        self._interpolator._runner._network = self._network
        self._pair: tuple[RGBImage, RGBImage] | None = None
        self._frames: dict[float, dict[str, RGBImage]] = {}

    def model(self, name: str) -> Callable[..., RGBImage]:
        """Return a model by name."""
        return lambda frame0, frame1, t=0.5: self._draw(frame0, frame1, t)[name]

    def _draw(self, frame0: RGBImage, frame1: RGBImage, t: float) -> dict[str, RGBImage]:
        if self._pair is None or self._pair[0] is not frame0 or self._pair[1] is not frame1:
            analyses = [self._interpolator.analyze(frame) for frame in (frame0, frame1)]
            self._motion, self._pair, self._frames = self._interpolator.motion(*analyses), (frame0, frame1), {}
        if t not in self._frames:
            frames = {"studio": self._interpolator.render(self._motion, t)}
            for name, planes in zip(NAMES, self._network.drawn, strict=True):
                frames[name] = from_planes(planes[0].numpy().clip(0, 1), frame0)
            self._frames[t] = frames
        return self._frames[t]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("--best-t", action="store_true")
    parser.add_argument("--fp32", action="store_true", help="even if the CPU has bf16")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0, help="index of the first triplet, by name")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", nargs="+", choices=("studio", *NAMES), default=("studio", *NAMES), metavar="NAME")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    make_folder(args.out)
    table = args.out / "scores.csv"
    rows: list[TripletScores] = read_rows(table) if table.exists() else []
    done = {row.triplet for row in rows}
    files = [one for one in list_triplets(args.dataset)[args.first :: args.every] if one.name not in done]
    shared = _Shared(Options(precision="fp32" if args.fp32 else "auto"))
    models = {name: shared.model(name) for name in args.model}
    lpips = load_lpips(args.lpips) if args.lpips else None

    def save_frame(model: str, triplet: str, frame: Any) -> None:
        make_folder(args.out / model)
        write_image(args.out / model / f"{triplet}.png", frame, force=True)

    for one in files:  # one at a time, so that a matte or a fault in one does not affect the others
        for result in score([one], models, 1, save_frame, lpips=lpips, best_t=args.best_t):
            if isinstance(result, Fault):
                print(f"skipped {result.triplet}: {result.reason}", file=sys.stderr)
                continue
            rows += result
            write_rows(table, rows)
            print(one.name, *(f"{row.whole.psnr:.2f}/{row.whole.lpips or 0:.4f}" for row in result), flush=True)
    for name in models:
        summary = summarize(name, [row for row in rows if row.model == name])
        best = "" if summary.best is None else f"; best t {summary.best.scores}"
        print(f"{name}: {summary.whole}{best}")


if __name__ == "__main__":
    main()
