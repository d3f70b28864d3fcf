"""Fetch the art of the linear set, from which `animeinterp dataset linear ART -o DIR` composes triplets.

    python benchmarks/linear_art.py ART [--mirror URL | --deb FILE]

    warmux-data 11.04.1 (Debian, GPL-2.0-or-later)    backgrounds, middle grounds and figures of the game WarMUX
    dicebear-styles 10.6.0 (PyPI, style `lorelei`)    figures by Lisa Wischofsky, CC0-1.0, colored here

Both are fetched by name and version into a temporary folder: the Debian package from a mirror, unless `--deb` names its
file, the other by pip with the user's index settings. The SHA-256 of the Debian package and of the heads as SVG are
checked. None of this art is in a training set or another benchmark of this project, and it is not committed. ART holds
figures/, backgrounds/, middle/ and art.json, which names source and license of each file.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from animeinterp.data.linear.record import ART_KIND
from animeinterp.errors import AnimeInterpError, FileError
from animeinterp.io.files import atomic_folder, file_sha256, write_text
from animeinterp.io.images import read_image, write_image

MIRROR = "https://deb.debian.org/debian"
DEB = "pool/main/w/warmux/warmux-data_11.04.1+repack2-4_all.deb"
DEB_SHA256 = "cceec72afcc9d5b0515149eb505bf0d883bd47399e602b30a805cafa2d91eb70"
WHEELS = ("dicebear-core==10.7.0", "dicebear-schema==2.0.2", "dicebear-styles==10.6.0", "resvg-py==0.5.0")
MAPS = "./usr/share/games/warmux/map/"
PACKAGES = {
    "warmux-data": {
        "title": "WarMUX",
        "version": "11.04.1+repack2-4",
        "from": "Debian",
        "sha256": DEB_SHA256,
        "license": "GPL-2.0-or-later",
    },
    "dicebear-styles": {
        "title": "lorelei",
        "author": "Lisa Wischofsky",
        "version": "10.6.0",
        "from": "PyPI",
        "license": "CC0-1.0",
    },
}
# Connected parts of maps: file and box (x, y, width, height), px.
FIGURES = {
    "starfish": ("aquarium/background.png", (424, 414, 209, 216)),
    "angelfish": ("aquarium/background.png", (1492, 522, 354, 271)),
    "goldfish": ("aquarium/background.png", (1990, 819, 231, 184)),
    "orca": ("banquise/banquise.png", (888, 3, 598, 439)),
    "floating_house": ("country/map.png", (1563, 108, 899, 937)),
    "floating_tree": ("country/map.png", (1112, 216, 358, 419)),
    "bat": ("halloween/map.png", (450, 225, 724, 235)),
    "pirate_boat": ("island/island.png", (1039, 804, 263, 242)),
    "bottle": ("lonely_island/map.png", (1893, 758, 335, 742)),
    "rowing_boat": ("lonely_island/map.png", (2472, 1213, 459, 287)),
    "ninja": ("ninja/map.png", (684, 12, 272, 346)),
    "penguin": ("paradis/decor_paradis.png", (685, 290, 398, 385)),
    "cupid": ("paradis/decor_paradis.png", (570, 1449, 242, 185)),
    "paper_plane": ("qingqong/qingqong.png", (224, 143, 419, 279)),
    "totem": ("wildwestdv/map.png", (1324, 40, 457, 1059)),
    "vulture": ("wildwestdv/map.png", (917, 74, 337, 253)),
}
BACKGROUNDS = (
    *("bankiz/sky.jpg", "banquise/background.jpg", "birds/one_layer_sky.jpg", "country/sky.jpg"),
    *("farm/one_layer_sky.jpg", "goodandevil/sky.jpg", "halloween/sky.jpg", "island/sky.jpg"),
    *("junglemountain/drseuss.jpg", "monkeybubble/one_layer_sky.jpg", "montagnes/sky.jpg"),
    *("ninja/one_layer_sky.jpg", "pirates/islands.jpg", "pumpkins/sky.jpg", "vulcano/sky2.jpg", "wildwestdv/sky.jpg"),
)
MIDDLE_GROUNDS = (
    *("arbre/arbre.png", "arcaderoom/map.png", "champignon/background.png", "desert/desert.png", "halloween/map.png"),
    *("oktopus/map.png", "prehistorik/prehistorik.png", "pumpkins/map.png", "qingqong/qingqong.png", "snow/map.png"),
)
HEADS = 20
HAIR = ("#2c222b", "#6a4e35", "#b55239", "#e5d7a3", "#5a6fa8", "#8f3f71", "#d97b9e", "#3f7d6a")
SKIN = ("#ffe0c8", "#f2c9a0", "#d9a066", "#8d5a3b", "#f7d7c4")
HEADS_SHA256 = "ec2adda728b40fae3c2fd3b3e802a5d1b496e934b01a5a990c0bbb56bc15846a"  # of all SVG texts, concatenated
MAX_WIDTH = 2800  # px, of backgrounds and middle grounds
MAX_PIXELS = 40_000_000

Files = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("art", type=Path, help="the folder to create")
    parser.add_argument("--mirror", default=MIRROR, help=f"of Debian; {MIRROR}")
    parser.add_argument("--deb", type=Path, help="file of the Debian package, instead of fetching it")
    args = parser.parse_args()
    if os.path.lexists(args.art):
        sys.exit(f"error: {args.art} exists already; choose another name")
    try:
        with atomic_folder(args.art) as part, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            for name in ("figures", "backgrounds", "middle"):
                (part / name).mkdir()
            deb = args.deb or download(f"{args.mirror}/{DEB}", Path(scratch) / "warmux.deb")
            files = from_maps(part, unpack(deb, Path(scratch)), Path(scratch)) | draw_heads(part, Path(scratch))
            content = {"kind": ART_KIND, "packages": PACKAGES, "files": dict(sorted(files.items()))}
            write_text(part / "art.json", json.dumps(content, indent=1) + "\n")
    except AnimeInterpError as error:
        sys.exit(f"error: {error}")
    print(f"{len(files)} files in {args.art}")


def download(url: str, target: Path) -> Path:
    """Fetch a file; return its path. Raises FileError."""
    print(f"fetching {url}")
    try:
        with urllib.request.urlopen(url, timeout=60) as source, target.open("wb") as file:
            while block := source.read(1 << 20):
                file.write(block)
    except OSError as error:
        raise FileError(f"cannot fetch {url}: {error}; give another --mirror, or the package as --deb FILE") from error
    return target


def unpack(deb: Path, scratch: Path) -> dict[str, bytes]:
    """Return the images used of the Debian package, by their path below the maps. Raises FileError."""
    if file_sha256(deb) != DEB_SHA256:
        raise FileError(f"{deb} has SHA-256 {file_sha256(deb)}, expected {DEB_SHA256} of {Path(DEB).name}")
    names = {*BACKGROUNDS, *MIDDLE_GROUNDS, *(file for file, _ in FIGURES.values())}
    with deb.open("rb") as file:
        archive = _member(file, "data.tar.xz")
    images = {}
    with tarfile.TarFile.xzopen(DEB, fileobj=io.BytesIO(archive)) as tar:
        for entry in tar:
            name = entry.name.removeprefix(MAPS)
            if name in names and entry.isfile() and (content := tar.extractfile(entry)):
                images[name] = content.read()
    return images


def _member(file: IO[bytes], member: str) -> bytes:
    """Return a member of an `ar` archive: 8 bytes of magic, then headers of 60 bytes, each with data and padding."""
    file.seek(8)
    while len(header := file.read(60)) == 60:
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        if name == member:
            return file.read(size)
        file.seek(size + size % 2, 1)
    raise FileError(f"the Debian package holds no {member}; fetch it again")


def from_maps(part: Path, images: dict[str, bytes], scratch: Path) -> Files:
    """Write the images of WarMUX, downsampled to the maximum width; return the source of each file."""
    files: Files = {}

    def source(file: str) -> dict[str, str]:
        return {"package": "warmux-data", "source": f"map/{file}", "license": "GPL-2.0-or-later"}

    for folder, names in (("backgrounds", BACKGROUNDS), ("middle", MIDDLE_GROUNDS)):
        for file in names:
            name = f"{folder}/{PurePosixPath(file).parts[0]}.png"
            pixels = _decode(images[file], scratch)
            write_image(part / name, _downsample(pixels if folder == "middle" else pixels[..., :3]))
            files[name] = source(file)
    for figure, (file, box) in FIGURES.items():
        name = f"figures/{figure}.png"
        write_image(part / name, _largest_part(_decode(images[file], scratch), box))
        files[name] = source(file) | {"box": list(box)}
    return files


def _decode(data: bytes, scratch: Path) -> NDArray[np.uint8]:
    """Return the pixels of an image file, uint8 (H, W, 4)."""
    path = scratch / "image"
    path.write_bytes(data)
    pixels = np.asarray(read_image(path, MAX_PIXELS).pixels, np.uint8)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 3:
        pixels = np.dstack([pixels, np.full_like(pixels[..., :1], 255)])
    return pixels


def _downsample(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Downsample an image until it is at most MAX_WIDTH px wide; alpha weights the colors."""
    height, width = pixels.shape[:2]
    if width <= MAX_WIDTH:
        return pixels
    size = MAX_WIDTH, round(height * MAX_WIDTH / width)
    if pixels.shape[2] == 3:
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    alpha = pixels[..., 3:].astype(np.float32) / 255
    mean: Any = cv2.resize(np.dstack([pixels[..., :3] * alpha, alpha]), size, interpolation=cv2.INTER_AREA)
    colors = mean[..., :3] / np.maximum(mean[..., 3:], 1e-6)
    return np.rint(np.clip(np.dstack([colors, 255 * mean[..., 3:]]), 0, 255)).astype(np.uint8)


def _largest_part(pixels: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Cut out the largest connected part of a box; everything else becomes transparent."""
    x, y, width, height = box
    cut = pixels[y : y + height, x : x + width].copy()
    labels: Any
    _, labels, stats, _ = cv2.connectedComponentsWithStats((cut[..., 3] > 40).astype(np.uint8), connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    # One pixel more than the threshold, for the antialiased rim.
    dilated: Any = cv2.dilate((labels == largest).astype(np.uint8), np.ones((3, 3), np.uint8))
    cut[dilated == 0] = 0
    return cut


def draw_heads(part: Path, scratch: Path) -> Files:
    """Draw heads of DiceBear's style `lorelei`, colored from two small palettes; return the source of each file."""
    site = scratch / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), *WHEELS]
    print("fetching", ", ".join(WHEELS))
    if subprocess.run(pip).returncode:
        raise FileError(f"pip cannot install {', '.join(WHEELS)}; see above")
    sys.path.insert(0, str(site))
    dicebear, resvg = importlib.import_module("dicebear"), importlib.import_module("resvg_py")
    style = dicebear.Style(json.loads((site / "dicebear_styles" / "lorelei.json").read_text(encoding="utf-8")))
    texts = []
    for number in range(HEADS):
        rng = random.Random(number)
        settings = {
            "seed": f"linear-{number}",
            "size": 1000,
            "hairColor": [HAIR[number % len(HAIR)]],
            "skinColor": [rng.choice(SKIN)],
            "hairAccessoriesColor": ["#d9333f"],
            "mouthColor": ["#8a2b2b"],
            "earringsColor": ["#e0b020"],
        }
        texts.append(str(dicebear.Avatar(style, settings)))
    digest = hashlib.sha256("".join(texts).encode()).hexdigest()
    if digest != HEADS_SHA256:
        raise FileError(
            f"the drawn heads have SHA-256 {digest}, expected {HEADS_SHA256}; check the versions of {WHEELS}"
        )
    files: Files = {}
    for number, text in enumerate(texts):
        pixels = _decode(bytes(resvg.svg_to_bytes(svg_string=text)), scratch)
        name, rows = f"figures/head_{number:02}.png", np.flatnonzero(pixels[..., 3].any(axis=1))
        columns = np.flatnonzero(pixels[..., 3].any(axis=0))
        write_image(part / name, pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        source = f"lorelei, seed linear-{number}"
        files[name] = {"package": "dicebear-styles", "source": source, "license": "CC0-1.0", "bust": True}
    return files


if __name__ == "__main__":
    main()
