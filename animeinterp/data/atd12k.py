"""ATD-12K's layout (Siyao et al., CVPR 2021), for that data set and any other kept in the same way (system §5).

    FOLDER/NAME/frame1.png frame2.png frame3.png     two frames and, second, the true one between them
    ANNOTATIONS/NAME/NAME.json                       where it moves and how hard it is; optional

Frames may be .png, .jpg, .jpeg or .webp. ATD-12K itself is 960x540, its training part partly 1280x720; annotations
hold for the `image_size` they state, whatever the size of the frames beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animeinterp.data.triplet import Triplet
from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.frame import describe, rgb8
from animeinterp.options import Options
from animeinterp.picture import read_picture

LEVELS = ("easy", "medium", "hard")
_MAX_PIXELS = Options().max_pixels
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_EXPECTED = "NAME/frame1.png, frame2.png and frame3.png (or .jpg, .jpeg, .webp)"


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a frame, px: columns x to x + width - 1, rows y to y + height - 1."""

    x: int
    y: int
    width: int
    height: int

    def of(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """That part of a frame (H, W, C)."""
        return frame[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What ATD-12K says of a triplet.

    image_size: width and height, px, that `motion_roi` = (x, y, width, height) belongs to. level: 0 easy, 1 medium,
    2 hard. motion_types: some of translation, rotation, scaling, deformation. behaviors: speaking, walking, eating,
    sporting, fetching, others.
    """

    image_size: tuple[float, float]
    motion_roi: tuple[float, float, float, float]
    level: int
    motion_types: tuple[str, ...] = ()
    behaviors: tuple[str, ...] = ()

    def roi(self, width: int, height: int) -> Region:
        """The motion RoI in frames of another size, rounded as in the published evaluation: down, each number alone.

        What lies outside the frame is cut off. Raises FrameError if nothing is left.
        """
        scales = (self.image_size[0] / width, self.image_size[1] / height) * 2
        x, y, w, h = (int(value // scale) for value, scale in zip(self.motion_roi, scales, strict=True))
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        if left >= right or top >= bottom:
            raise FrameError(f"the motion RoI {self.motion_roi} lies outside the frame; mend the annotation")
        return Region(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class TripletFiles:
    """Where a triplet lies. folder: of its three frames. annotation: None if there is none."""

    name: str
    folder: Path
    annotation: Path | None = None


@dataclass(frozen=True, slots=True)
class ATD12K:
    """A data set in this layout as a source of training crops, see `animeinterp.data.crops.write_crops`."""

    folder: Path

    def __call__(self, seeds: Sequence[int]) -> Iterator[Triplet]:
        """Triplets without end, each once before any comes again; the same seeds give the same order.

        Raises as `triplets` and `read_triplet`.
        """
        rng = np.random.default_rng(seeds)
        files = triplets(self.folder)
        while True:
            for index in rng.permutation(len(files)):
                yield read_triplet(files[index])


def triplets(folder: Path, annotations: Path | None = None) -> list[TripletFiles]:
    """Every triplet of a data set, by name. None of its files is opened yet.

    annotations: by default looked for beside `folder`: DATASET_annotations, and for ATD-12K's test_2k_540p
    test_2k_annotations. Triplets without one are listed too, and so are folders that lack a frame, which
    `read_triplet` refuses. Raises FileError and UsageError, which say what layout was expected.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is no folder; expected a data set of {_EXPECTED}")
    if annotations is not None and not annotations.is_dir():
        raise FileError(f"{annotations} is no folder; expected annotations as NAME/NAME.json")
    folders = _folders(folder)
    if not any(_has_frames(place) for place in folders):
        inner = [place.name for place in folders if any(map(_has_frames, _folders(place)))]
        hint = f"; {', '.join(inner)} in it looks like one, so give that" if inner else ""
        raise UsageError(f"{folder} holds no triplets: expected {_EXPECTED} in it{hint}")
    beside = annotations or _annotations_beside(folder)
    return [TripletFiles(place.name, place, _annotation_of(place.name, beside)) for place in folders]


def read_triplet(files: TripletFiles, max_pixels: int = _MAX_PIXELS) -> Triplet:
    """The frames of a triplet, t = 0.5. Grey is repeated, alpha laid over mid-grey, 16 bits rounded to 8.

    Raises FileError for a frame that is missing, twice there or damaged, FrameError for sizes that do not fit.
    """
    frames = [rgb8(read_picture(_frame(files.folder, number), max_pixels).pixels) for number in (1, 2, 3)]
    if len({frame.shape for frame in frames}) > 1:
        sizes = ", ".join(describe(frame).split()[-1] for frame in frames)
        raise FrameError(f"the frames of {files.folder} are {sizes}; expected one size, so export them again")
    frame0, truth, frame1 = frames
    return Triplet(frame0, truth, frame1, 0.5)


def read_annotation(path: Path) -> Annotation:
    """An annotation file. Raises FileError if it cannot be read or lacks size, RoI or level."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        width, height = map(float, content["image_size"])
        x, y, w, h = (float(content["motion_RoI"][key]) for key in ("x", "y", "width", "height"))
        level = content["level"]
        if not (width > 0 and height > 0 and all(map(isfinite, (width, height, x, y, w, h)))):
            raise ValueError(f"size {width:g}x{height:g}, RoI {x:g}, {y:g}, {w:g}, {h:g}")
        if level not in range(len(LEVELS)):
            raise ValueError(f"level {level}")
        motion_types, behaviors = (_words(content, key) for key in ("general_motion_type", "behavior"))
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}; expected an annotation") from error
    except (ValueError, TypeError, KeyError) as error:
        raise FileError(
            f"{path} is no annotation ({type(error).__name__}: {error}); expected JSON with image_size [w, h], "
            "motion_RoI {x, y, width, height} and level 0, 1 or 2"
        ) from error
    return Annotation((width, height), (x, y, w, h), int(level), motion_types, behaviors)


def _folders(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith((".", "__")))


def _has_frames(folder: Path) -> bool:
    return {"frame1", "frame2", "frame3"} <= {path.stem for path in folder.iterdir()}


def _frame(folder: Path, number: int) -> Path:
    stem = f"frame{number}"
    found = sorted(path for path in folder.iterdir() if path.stem == stem and path.suffix.lower() in _SUFFIXES)
    if not found:
        raise FileError(f"{folder} has no {stem}; expected {_EXPECTED}")
    if len(found) > 1:
        raise FileError(
            f"{folder} has {' and '.join(path.name for path in found)}; expected one, so take the other out"
        )
    return found[0]


def _annotations_beside(folder: Path) -> Path | None:
    folder = folder.absolute()  # `.` has no name
    names = (f"{folder.name}_annotations", f"{folder.name.removesuffix('_540p')}_annotations")
    return next((place for name in names if (place := folder.with_name(name)).is_dir()), None)


def _annotation_of(name: str, annotations: Path | None) -> Path | None:
    path = annotations and annotations / name / f"{name}.json"
    return path if path and path.exists() else None


def _words(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = content.get(key) or ()
    return (value,) if isinstance(value, str) else tuple(map(str, value))
