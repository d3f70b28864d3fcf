"""Measure precision and recall of cuts and repeats, and time per frame, next to PySceneDetect's detectors of cuts.

python benchmarks/cuts.py ../shared/clips [--pairs ../shared/bench/dev] [--assets ../shared/assets] [--misses]

Clips are real, with the cuts in CUTS. Pairs are folders of triplets of one shot each: the first and last frame of one
triplet make a film without a cut, frames of different titles a film with one. Assets are backgrounds and sprites, of
which films are composed and encoded by x264 at crf 23: pans, zooms, leaps, fades, flashes, cuts of all kinds, and films
on twos and threes.
PySceneDetect: pip install --no-deps scenedetect platformdirs tqdm click
"""

from __future__ import annotations

import argparse
import importlib
import io
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from animeinterp.video.cadence.drawings import Drawing, find_drawings
from animeinterp.video.source.info import TimedFrame

# The white flash of glyphs ends at 107, where a bird appears on white: both answers are accepted.
CUTS = {"glyphs": {105}, "hard_cuts": {36, 66, 94, 128}, "popeye": {31, 230}}
OPTIONAL_CUTS = {"glyphs": {107}}
SIZE = WIDTH, HEIGHT = 480, 270
RATE = 24
Frames = list[np.ndarray]
Detector = Callable[[Frames], set[int]]


@dataclass
class LabeledFilm:
    """A film with its true cuts and drawings.

    Attributes:
        frames: uint8 RGB (H, W, 3).
        cuts: Numbers of frames that begin a shot.
        optional_cuts: Numbers of frames for which both answers are accepted.
        drawings: Numbers of frames that do not repeat the one before; None where that is unknown.
    """

    frames: Frames
    cuts: set[int] = field(default_factory=set)
    optional_cuts: set[int] = field(default_factory=set)
    drawings: set[int] | None = None


# --- detectors


def ours(frames: Frames) -> set[int]:
    return {drawing.number for drawing in _drawings(frames) if drawing.cut}


def scenedetect(name: str) -> Detector:
    detectors = importlib.import_module("scenedetect.detectors")
    timecode = importlib.import_module("scenedetect.common").FrameTimecode

    def detect(frames: Frames) -> set[int]:
        detector = getattr(detectors, name)(min_scene_len=1)
        cuts = set()
        for number, frame in enumerate(frames):
            cuts |= {cut.frame_num for cut in detector.process_frame(timecode(number, float(RATE)), frame[..., ::-1])}
        return cuts | {cut.frame_num for cut in detector.post_process(timecode(len(frames), float(RATE)))}

    return detect


def _drawings(frames: Frames) -> list[Drawing]:
    timed = (TimedFrame(number, Fraction(number, RATE), frame) for number, frame in enumerate(frames))
    return list(find_drawings(timed, lambda: Fraction(len(frames), RATE)))


# --- films


def decode(source: Path | io.BytesIO) -> Frames:
    with av.open(source if isinstance(source, io.BytesIO) else str(source)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def encode(frames: Frames, crf: int = 23) -> Frames:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in [av.VideoFrame.from_ndarray(frame, format="rgb24") for frame in frames] + [None]:
            container.mux(stream.encode(frame))
    file.seek(0)
    return decode(file)


class _FilmMaker:
    """Composes films of backgrounds and sprites."""

    def __init__(self, assets: Path, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._backgrounds = sorted((assets / "backgrounds").iterdir())
        self._sprites = sorted((assets / "sprites").iterdir())
        self._previous: np.ndarray | None = None

    def films(self) -> Iterator[tuple[str, LabeledFilm]]:
        for kind in ("walk", "leap", "flat", "pan", "ease", "whip", "zoom", "shake"):
            yield f"no cut: {kind}", LabeledFilm(self.shot(kind, 24))
        yield "hard cut", self.join(*(self.shot(self.any_motion(), 12) for _ in range(4)))
        yield "hard cut, on twos", self.held(self.join(*(self.shot("walk", 6) for _ in range(4))), 2)
        yield "hard cut, on threes", self.held(self.join(*(self.shot("pan", 4) for _ in range(4))), 3)
        yield "single-frame shot", self.join(*(self.shot(self.any_motion(), count) for count in (12, 1, 12, 1, 1, 12)))
        yield "same colors", self.join(*self.same_colors(3))
        yield "same background, closer", self.closer()
        for name, level in (("white", 255), ("black", 0)):
            yield f"{name} flash", self.flash(level)
        yield "jump to black and back", self.join(self.shot("walk", 12), self.plain(0, 8), self.shot("pan", 12))
        for count in (2, 5, 12):
            yield f"cross-fade of {count}", self.fade(self.shot("walk", 16), self.shot("pan", 16), count)
            yield f"fade to black of {count}", self.fade(self.shot("pan", 16), self.plain(0, 16), count)

    def any_motion(self) -> str:
        return str(self.random.choice(["walk", "leap", "pan", "zoom"]))

    def join(self, *shots: Frames) -> LabeledFilm:
        cuts = list(itertools.accumulate(len(shot) for shot in shots))[:-1]
        return LabeledFilm([frame for shot in shots for frame in shot], set(cuts))

    def held(self, film: LabeledFilm, times: int) -> LabeledFilm:
        frames = [frame for frame in film.frames for _ in range(times)]
        return LabeledFilm(frames, {cut * times for cut in film.cuts}, drawings=set(range(0, len(frames), times)))

    def plain(self, level: int, count: int) -> Frames:
        return [np.full((HEIGHT, WIDTH, 3), level, np.uint8)] * count

    def flash(self, level: int) -> LabeledFilm:
        shot, count = self.shot("walk", 24), int(self.random.integers(1, 3))
        return self.join(shot[:12], self.plain(level, count), shot[12:])

    def fade(self, before: Frames, after: Frames, count: int) -> LabeledFilm:
        """Cross-fade two shots over `count` frames."""
        mixed = []
        for i in range(count):
            weight = (i + 1) / (count + 1)
            a, b = before[len(before) - count + i], after[i]
            mixed.append(cv2.addWeighted(a, 1 - weight, b, weight, 0))
        return LabeledFilm([*before[:-count], *mixed, *after[count:]])

    def closer(self) -> LabeledFilm:
        wide = self.shot("walk", 12)
        x, y = int(self.random.integers(0, WIDTH // 2)), int(self.random.integers(0, HEIGHT // 2))
        near = [cv2.resize(f[y : y + HEIGHT // 2, x : x + WIDTH // 2], SIZE) for f in self.shot("again", 12)]
        return self.join(wide, near)

    def same_colors(self, count: int) -> list[Frames]:
        color = self.random.integers(40, 256, 3)
        return [self.shot("flat", 10, color) for _ in range(count)]

    def shot(self, kind: str, count: int, color: np.ndarray | None = None) -> Frames:
        random = self.random
        if kind != "again":
            self._scene = self.background(), self.sprite()
        background, sprite = self._scene
        if kind == "flat":
            fill = random.integers(40, 256, 3) if color is None else color
            background = np.full_like(background, fill.astype(np.uint8))
        t = np.arange(count)
        x, y, zoom = np.zeros(count), np.zeros(count), np.ones(count)
        figure = random.uniform(0, WIDTH * 0.6) + t * random.uniform(-6, 6)
        blur = 0.0
        if kind == "leap":
            figure = random.uniform(0, WIDTH * 0.7, count)
            sprite = cv2.resize(sprite, None, fx=1.5, fy=1.5)
        elif kind == "pan":
            x, y = t * random.uniform(1, 12), t * random.uniform(-3, 3)
        elif kind == "ease":
            x = 120 * (1 - np.cos(np.pi * t / count))
        elif kind == "whip":
            blur = random.uniform(0, 0.6)
            x = random.uniform(0.5, 2.5) * WIDTH * (0.5 - 0.5 * np.cos(np.pi * np.clip((t - 6) / 10, 0, 1)))
        elif kind == "zoom":
            zoom = random.uniform(1.01, 1.06) ** t
        elif kind == "shake":
            x, y = random.normal(0, 15, (2, count))
        figure = figure - x * (kind != "pan")
        motion_blur = blur * np.abs(np.diff(x, prepend=x[0]))
        return [
            self.render(background, sprite, camera=(x[i], y[i], zoom[i]), figure=figure[i], blur=motion_blur[i])
            for i in range(count)
        ]

    def render(
        self,
        background: np.ndarray,
        sprite: np.ndarray,
        *,
        camera: tuple[float, float, float],
        figure: float,
        blur: float,
    ) -> np.ndarray:
        """Compose a frame; `camera` is x, y (px) and zoom, `figure` the sprite's x (px), `blur` in px."""
        x, y, zoom = camera
        motion = np.array([[zoom, 0, -x - 80 * zoom], [0, zoom, -y - 40 * zoom]], np.float32)
        frame = cv2.warpAffine(background, motion, SIZE, borderMode=cv2.BORDER_REFLECT)
        if blur > 1:
            frame = cv2.blur(frame, (int(blur), 1))
        height = sprite.shape[0]
        shift = np.array([[1, 0, figure], [0, 1, HEIGHT - height - 10]], np.float32)
        layer = cv2.warpAffine(sprite, shift, SIZE)
        alpha = layer[..., 3:] / 255.0
        return np.rint(frame * (1 - alpha) + layer[..., :3] * alpha).astype(np.uint8)

    def background(self) -> np.ndarray:
        """Choose a background unlike the previous one; many of the assets are variants of each other."""
        while True:
            path = self._backgrounds[self.random.integers(len(self._backgrounds))]
            background = cv2.resize(_read(path)[..., :3], (640, 360))
            previous, self._previous = self._previous, cv2.resize(background, (32, 18), interpolation=cv2.INTER_AREA)
            if previous is None or cv2.absdiff(previous, self._previous).mean() > 12:
                return background

    def sprite(self) -> np.ndarray:
        sprite = _read(self._sprites[self.random.integers(len(self._sprites))])
        scale = self.random.uniform(100, 180) / max(sprite.shape[:2])
        return cv2.resize(sprite, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _read(path: Path) -> np.ndarray:
    """Read an image as RGBA."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGBA)


def pairs(folder: Path) -> Iterator[tuple[str, LabeledFilm]]:
    """Repeat each frame three times, so that every detector has the neighbors it needs."""
    manifest = {
        entry["name"]: entry
        for entry in json.loads((folder.parent / f"{folder.name}_manifest.json").read_text(encoding="utf-8"))
    }
    frames = {
        name: [
            cv2.resize(_read(folder / name / f"frame{i}.webp")[..., :3], SIZE, interpolation=cv2.INTER_AREA)
            for i in (1, 3)
        ]
        for name in manifest
    }
    for a, b in frames.values():
        yield "pairs of one shot", LabeledFilm([a] * 3 + [b] * 3)
    random = np.random.default_rng(0)
    for name, other in itertools.product(manifest, manifest):
        entry, other_entry = manifest[name], manifest[other]
        if entry["title"] == other_entry["title"] or random.random() > 0.1:
            continue
        is_same = entry.get("background") and entry.get("background") == other_entry.get("background")
        kind = "pairs of two titles" + (", one background" if is_same else "")
        yield kind, LabeledFilm([frames[name][0]] * 3 + [frames[other][0]] * 3, {3})


# --- measuring


def clips(folder: Path) -> Iterator[tuple[str, LabeledFilm]]:
    for path in sorted(folder.glob("*.mp4")):
        film = LabeledFilm(decode(path))
        film.cuts = next((cuts for name, cuts in CUTS.items() if path.name.startswith(name)), set())
        film.optional_cuts = next((cuts for name, cuts in OPTIONAL_CUTS.items() if path.name.startswith(name)), set())
        yield path.stem[:40], film


def measure(films: Iterator[tuple[str, LabeledFilm]], detectors: dict[str, Detector], misses: bool) -> None:
    # hits, wrong, missed, frames, seconds
    scores: dict[str, dict[str, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros(5)))
    for kind, film in films:
        for name, detect in detectors.items():
            began = time.process_time()
            detected = detect(film.frames) - film.optional_cuts
            seconds = time.process_time() - began
            hits, wrong, missed = detected & film.cuts, detected - film.cuts, film.cuts - detected
            if misses and name == "ours" and (wrong or missed):
                print(f"  {kind}: wrong {sorted(wrong)}, missed {sorted(missed)} of {sorted(film.cuts)}")
            for row in (kind, "all"):
                scores[row][name] += len(hits), len(wrong), len(missed), len(film.frames), seconds
    print(f"{'':40}" + "".join(f"{name:>28}" for name in detectors))
    print(f"{'':40}" + f"{'found  wrong missed ms/frame':>28}" * len(detectors))
    for row in [*(row for row in scores if row != "all"), "all"]:
        cells = (
            f"{int(hits):9}{int(wrong):7}{int(missed):6}{1e3 * seconds / frames:6.1f}"
            for hits, wrong, missed, frames, seconds in scores[row].values()
        )
        print(f"{row:40}" + "".join(cells))
    for name, (hits, wrong, missed, _, _) in scores["all"].items():
        print(f"{name}: recall {hits / max(hits + missed, 1):.3f}, precision {hits / max(hits + wrong, 1):.3f}")


def cadence(maker: _FilmMaker) -> None:
    """Count wrong and missed repeats in films on twos and threes, by quality of the encoding and grain."""
    print(f"{'repeats':24}{'taken for new':>16}{'new taken for repeats':>24}")
    for crf, grain in itertools.product((16, 23, 28, 32), (0, 3, 8)):
        wrong, missed, repeats, drawings = 0, 0, 0, 0
        for kind, times in itertools.product(("walk", "flat", "pan"), (2, 3)):
            film = maker.held(LabeledFilm(maker.shot(kind, 8)), times)
            noisy = [np.clip(f + maker.random.normal(0, grain, f.shape[:2])[..., None], 0, 255) for f in film.frames]
            detected = {drawing.number for drawing in _drawings(encode([f.astype(np.uint8) for f in noisy], crf))}
            assert film.drawings is not None
            wrong += len(detected - film.drawings)
            missed += len(film.drawings - detected)
            repeats += len(film.frames) - len(film.drawings)
            drawings += len(film.drawings)
        print(f"crf {crf}, grain {grain:<13}{wrong:8} of {repeats:<5}{missed:16} of {drawings}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--films", type=int, default=4, help="films of each kind")
    parser.add_argument("--misses", action="store_true", help="list wrong and missed cuts")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    detectors = {"ours": ours}
    try:
        detectors |= {name: scenedetect(name) for name in ("ContentDetector", "AdaptiveDetector")}
    except ModuleNotFoundError:
        print("PySceneDetect is not installed; the docstring names the command")
    measure(clips(arguments.clips), detectors, arguments.misses)
    if arguments.pairs:
        measure(pairs(arguments.pairs), detectors, arguments.misses)
    if arguments.assets:
        made = (
            (kind, film) for seed in range(arguments.films) for kind, film in _FilmMaker(arguments.assets, seed).films()
        )
        coded = ((kind, LabeledFilm(encode(f.frames), f.cuts, f.optional_cuts)) for kind, f in made)
        measure(coded, detectors, arguments.misses)
        cadence(_FilmMaker(arguments.assets, 0))


if __name__ == "__main__":
    main()
