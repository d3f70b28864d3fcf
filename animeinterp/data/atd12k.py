"""ATD-12K's layout (Siyao et al., CVPR 2021), for that data set and any other kept in the same way (system §5).

    FOLDER/NAME/frame1.png frame2.png frame3.png     two frames and, second, the true one between them
    ANNOTATIONS/NAME/NAME.json                       where it moves and how hard it is; optional
    FLOWS/NAME/guide_flo13.npy guide_flo31.npy       what segment-guided matching says of frames 1 and 3; optional
    MASKS/NAME/occlusion.png borders.png             of frame 2, see `animeinterp.evaluation.masks`; optional

Frames may be .png, .jpg, .jpeg or .webp. ATD-12K itself is 960x540, its training part partly 1280x720; annotations
hold for the `image_size` they state, whatever the size of the frames beside them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from animeinterp.config import Options
from animeinterp.data.linear.record import check_trainable
from animeinterp.data.types import LEVELS, Triplet
from animeinterp.errors import FileError, FrameError, UsageError
from animeinterp.frame import describe, rgb8
from animeinterp.io.files import check_source
from animeinterp.io.images import read_image
from animeinterp.io.reading import describe_error, finite_number, read_json

Value = TypeVar("Value", bound=np.generic)
_MAX_PIXELS = Options().max_pixels
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_EXPECTED = "NAME/frame1.png, frame2.png and frame3.png (or .jpg, .jpeg, .webp)"
_EXPECTED_ANNOTATION = "JSON with image_size [w, h], motion_RoI {x, y, width, height} and level 0, 1 or 2"
_REGION = ("x", "y", "width", "height")
_FAR = 1e6  # px; larger sizes and places are mistakes
_MOST_WORDS, _LONGEST_WORD = 32, 80
FLOW_NAMES = ("guide_flo13.npy", "guide_flo31.npy")
_EXPECTED_FLOWS = f"flows as NAME/{' and '.join(FLOW_NAMES)}"


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a frame, px: columns x to x + width - 1, rows y to y + height - 1."""

    x: int
    y: int
    width: int
    height: int

    def crop(self, frame: NDArray[Value]) -> NDArray[Value]:
        """That part of a frame or of a map, (H, W, ...)."""
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
    """Where a triplet lies. folder: of its three frames. annotation, flows, masks (folders): None if there are none."""

    name: str
    folder: Path
    annotation: Path | None = None
    flows: Path | None = None
    masks: Path | None = None


@dataclass(frozen=True, slots=True)
class ATD12K:
    """A data set in this layout as a source of training crops, see `animeinterp.data.crops.write_crops`."""

    folder: Path

    def __call__(self, seeds: Sequence[int]) -> Iterator[Triplet]:
        """Triplets without end, each once before any comes again; the same seeds give the same order.

        Raises as `list_triplets` and `read_triplet`, and UsageError for a linear set, which is for evaluation only.
        """
        check_trainable(self.folder)
        rng = np.random.default_rng(seeds)
        files = list_triplets(self.folder)
        while True:
            for index in rng.permutation(len(files)):
                yield read_triplet(files[index])


def list_triplets(folder: Path, annotations: Path | None = None, flows: Path | None = None) -> list[TripletFiles]:
    """Every triplet of a data set, by name. None of its files is opened yet.

    annotations, flows: by default looked for beside `folder`: DATASET_annotations and DATASET_pre_calc_sgm_flows, and
    for ATD-12K's test_2k_540p test_2k_annotations and test_2k_pre_calc_sgm_flows. Masks are
    looked for in DATASET_masks. Triplets without them are listed too, and so are folders that lack a frame, which
    `read_triplet` refuses. Raises FileError and UsageError, which say what layout was expected.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected a data set of {_EXPECTED}")
    if annotations is not None and not annotations.is_dir():
        raise FileError(f"{annotations} is not a folder; expected annotations as NAME/NAME.json")
    if flows is not None and not flows.is_dir():
        raise FileError(f"{flows} is not a folder; expected {_EXPECTED_FLOWS}")
    folders = _folders(folder)
    if not any(_has_frames(place) for place in folders):
        inner = [place.name for place in folders if _names(place) and any(map(_has_frames, _folders(place)))]
        hint = f"; {', '.join(inner)} in it looks like one, so give that" if inner else ""
        raise UsageError(f"{folder} holds no triplets: expected {_EXPECTED} in it{hint}")
    notes, guides = annotations or _beside(folder, "_annotations"), flows or _beside(folder, "_pre_calc_sgm_flows")
    masks = _beside(folder, "_masks")
    found = [
        TripletFiles(name, folder / name, _annotation_of(name, notes), _inner(name, guides), _inner(name, masks))
        for name in (place.name for place in folders)
    ]
    if flows is not None and not any(one.flows for one in found):
        raise UsageError(f"{flows} holds no flows of the triplets in {folder}; expected {_EXPECTED_FLOWS} in it")
    return found


def read_triplet(files: TripletFiles, max_pixels: int = _MAX_PIXELS) -> Triplet:
    """The frames of a triplet, t = 0.5. Gray is repeated, alpha laid over mid-gray, 16 bits rounded to 8.

    Raises FileError for a frame that is missing, twice there or damaged, FrameError for sizes that do not fit.
    """
    frames = [rgb8(read_image(_frame(files.folder, number), max_pixels).pixels) for number in (1, 2, 3)]
    if len({frame.shape for frame in frames}) > 1:
        sizes = ", ".join(describe(frame).split()[-1] for frame in frames)
        raise FrameError(f"the frames of {files.folder} are {sizes}; expected one size, so export them again")
    frame0, truth, frame1 = frames
    return Triplet(frame0, truth, frame1, 0.5)


def read_annotation(path: Path) -> Annotation:
    """An annotation file. Raises FileError if it cannot be read, or lacks size, RoI or level within their ranges."""
    content = read_json(path, _EXPECTED_ANNOTATION)
    try:
        width, height = (finite_number(value, "image_size", 1, _FAR) for value in content["image_size"])
        region = content["motion_RoI"]
        x, y, w, h = (finite_number(region[key], f"motion_RoI {key}", -_FAR, _FAR) for key in _REGION)
        level = finite_number(content["level"], "level", 0, len(LEVELS) - 1)
        if level != int(level):
            raise ValueError("level is not a whole number")
        motion_types, behaviors = (_words(content, key) for key in ("general_motion_type", "behavior"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileError(
            f"{path} is not an annotation ({describe_error(error)}); expected {_EXPECTED_ANNOTATION}"
        ) from error
    return Annotation((width, height), (x, y, w, h), int(level), motion_types, behaviors)


def read_flows(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A triplet's precomputed flows, from frame 1 to frame 3 and back: float32 (2, h, w), x first, px of that size.

    ATD-12K's are float64 of 960x540, whatever the size of the frames. Raises FileError for flows that are missing,
    damaged, of another form or not finite.
    """
    flow13, flow31 = (_read_flow(folder / name) for name in FLOW_NAMES)
    if flow13.shape != flow31.shape:
        raise FileError(
            f"the flows of {folder} are {flow13.shape} and {flow31.shape}; expected one shape, so make them again"
        )
    return flow13, flow31


def _read_flow(path: Path) -> NDArray[np.float32]:
    expected = "expected a float array (2, height, width), x first, as animeinterp dataset flows writes it"
    check_source(path, expected.removeprefix("expected "))
    try:
        # mapped, so that a header cannot ask for more memory than the file has
        content = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}; {expected}") from error
    except Exception as error:  # a header is Python code, and its parser raises anything at all, MemoryError too
        raise FileError(f"{path} is damaged or no .npy file; {expected}") from error
    if not isinstance(content, np.ndarray):
        raise FileError(f"{path} is an archive of arrays; {expected}")
    if content.ndim != 3 or content.shape[0] != 2 or content.dtype.kind != "f" or not content.size:
        raise FileError(f"{path} holds {content.dtype} {content.shape}; {expected}")
    if content[0].size > _MAX_PIXELS:
        raise FileError(f"{path} is of {content[0].size} pixels, the limit is {_MAX_PIXELS}; {expected}")
    with np.errstate(over="ignore"):
        flow = np.array(content, np.float32, order="C")
    if not np.isfinite(flow).all():
        raise FileError(f"{path} holds values that are not finite; make it again")
    return flow


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith((".", "__")))
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; expected a data set of {_EXPECTED}") from error


def _names(folder: Path) -> list[str]:
    """The names of what is in a folder; of one that may not be looked into none."""
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _has_frames(folder: Path) -> bool:
    return {"frame1", "frame2", "frame3"} <= {Path(name).stem for name in _names(folder)}


def _frame(folder: Path, number: int) -> Path:
    stem = f"frame{number}"
    try:
        found = sorted(path for path in folder.iterdir() if path.stem == stem and path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; expected {_EXPECTED}") from error
    if not found:
        raise FileError(f"{folder} has no {stem}; expected {_EXPECTED}")
    if len(found) > 1:
        raise FileError(
            f"{folder} has {' and '.join(path.name for path in found)}; expected one, so take the other out"
        )
    return found[0]


def _beside(folder: Path, suffix: str) -> Path | None:
    folder = folder.absolute()  # `.` has no name
    names = (f"{folder.name}{suffix}", f"{folder.name.removesuffix('_540p')}{suffix}")
    return next((place for name in names if (place := folder.with_name(name)).is_dir()), None)


def _annotation_of(name: str, annotations: Path | None) -> Path | None:
    path = annotations and annotations / name / f"{name}.json"
    return path if path and os.path.lexists(path) else None


def _inner(name: str, folder: Path | None) -> Path | None:
    path = folder and folder / name
    return path if path and path.is_dir() else None


def _words(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = content.get(key) or ()
    words = [value] if isinstance(value, str) else list(value)[:_MOST_WORDS]
    return tuple(" ".join(str(word).split())[:_LONGEST_WORD] for word in words)
