"""Compose the README's image from the frames of `animeinterp demo`.

animeinterp demo -o cel
animeinterp demo -o studio --model studio
python benchmarks/readme_image.py cel studio docs/images/demo.webp
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, GAP, TITLE = 480, 270, 8, 34  # px


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cel", type=Path)
    parser.add_argument("studio", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    panels = (
        ("frame 0 (given)", args.cel / "frame0.png"),
        ("t = 0.5, cel (default)", args.cel / "mid_2.png"),
        ("t = 0.5, studio", args.studio / "mid_2.png"),
        ("frame 1 (given)", args.cel / "frame1.png"),
    )
    sheet = Image.new("RGB", (len(panels) * (WIDTH + GAP) - GAP, TITLE + HEIGHT), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
    for index, (title, path) in enumerate(panels):
        left = index * (WIDTH + GAP)
        pen.text((left, 4), title, fill="black", font=font)
        with Image.open(path) as panel:
            sheet.paste(panel.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), (left, TITLE))
    sheet.save(args.target, quality=90)


if __name__ == "__main__":
    main()
