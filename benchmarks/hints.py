"""Show what hints change: scores of triplets drawn without and with the hints of benchmarks/hints/.

    python benchmarks/hints.py DATASET [--hints benchmarks/hints/later] [--model cel] [--lpips FILE] [--out FOLDER]

The hints are pairs of points, set by hand on the first and last frame of triplets of the development set in which a
limb is lost. On the five of benchmarks/hints/ the parameters of hints were chosen; the three of benchmarks/hints/later/
were set once, after that, and nothing was changed for them. `limb` is the part of the frame around all points of a
triplet.
FOLDER gets, for each triplet, that part without hints, with hints, and as it should be.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animeinterp import Hints, Interpolator, load_interpolator, read_hints
from animeinterp.io.files import make_folder
from animeinterp.io.images import read_image, write_image
from animeinterp.metrics.lpips import load_installed_lpips, load_lpips

HINTS = Path(__file__).with_name("hints")
MARGIN = 40  # px around the points of a triplet

RGB = NDArray[np.uint8]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of NAME/frame1.*, frame2.*, frame3.*")
    parser.add_argument("--hints", type=Path, default=HINTS, help="folder of NAME.json")
    parser.add_argument("--model", default="cel", help="a preset")
    parser.add_argument("--lpips", type=Path, help="weights of LPIPS, see docs/guides/evaluation.md")
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    arguments = parser.parse_args()
    lpips = load_lpips(arguments.lpips) if arguments.lpips else load_installed_lpips()
    interpolator = load_interpolator(arguments.model, "cpu")
    if arguments.out:
        make_folder(arguments.out)
    print(f"{'triplet':56} {'PSNR':>15} {'LPIPS':>17} {'limb: PSNR':>15} {'LPIPS':>17}")
    rows = []
    for file in sorted(arguments.hints.glob("*.json")):
        hints = read_hints(file)
        frame0, true, frame1 = (
            np.asarray(read_image(next((arguments.dataset / file.stem).glob(f"frame{k}.*")), 10**8).pixels)
            for k in (1, 2, 3)
        )
        drawn = draw_both(interpolator, frame0, frame1, hints)
        limb = part_around(hints, true.shape)
        row = []
        for part in ((slice(None), slice(None)), limb):
            row += [psnr(frame[part], true[part]) for frame in drawn]
            row += [lpips(frame[part].copy(), true[part].copy()) for frame in drawn]
        rows.append(row)
        print(f"{file.stem:56} {format_row(row)}")
        if arguments.out:
            pictures = np.concatenate([frame[limb] for frame in (*drawn, true)], axis=1)
            write_image(arguments.out / f"{file.stem}.png", pictures, force=True)
    print(f"{'mean':56} {format_row(np.mean(rows, axis=0))}")


def draw_both(interpolator: Interpolator, frame0: RGB, frame1: RGB, hints: Hints) -> tuple[RGB, RGB]:
    """Draw the middle frame without and with hints."""
    analyses = interpolator.analyze(frame0), interpolator.analyze(frame1)
    plain, hinted = interpolator.motion(*analyses), interpolator.motion(*analyses, hints=hints)
    return interpolator.render(plain, 0.5), interpolator.render(hinted, 0.5)


def part_around(hints: Hints, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns around all points."""
    points = np.array([point for hint in hints for point in hint.points0 + hint.points1])
    low = np.maximum(points.min(0).astype(int) - MARGIN, 0)
    high = np.minimum(points.max(0).astype(int) + MARGIN, (shape[1], shape[0]))
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def psnr(drawn: RGB, true: RGB) -> float:
    """Compute PSNR, dB."""
    return float(10 * np.log10(255**2 / np.mean((drawn.astype(float) - true) ** 2)))


def format_row(row) -> str:
    """Format without → with."""
    cells = []
    for k in range(0, len(row), 2):
        digits = 2 if k % 4 == 0 else 4
        cells.append(f"{row[k]:.{digits}f} → {row[k + 1]:.{digits}f}")
    return f"{cells[0]:>15} {cells[1]:>17} {cells[2]:>15} {cells[3]:>17}"


if __name__ == "__main__":
    main()
