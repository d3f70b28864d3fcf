"""ATD-12K's layout (Siyao et al. 2021), shared by every data set of triplets.

    FOLDER/NAME/frame1.png frame2.png frame3.png     two frames and, as frame 2, the true frame between them
    ANNOTATIONS/NAME/NAME.json                       motion RoI and difficulty; optional
    FLOWS/NAME/guide_flo13.npy guide_flo31.npy       SGM flows between frames 1 and 3; optional
    MASKS/NAME/occlusion.png borders.png             of frame 2, see `animeinterp.evaluation.masks`; optional

Frames may be .png, .jpg, .jpeg or .webp. ATD-12K itself is 960x540; its training part is partly 1280x720. An annotation
refers to the `image_size` that it states, whatever the size of the frames.
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
FLOW_NAMES = ("guide_flo13.npy", "guide_flo31.npy")
_MAX_PIXELS = Options().max_pixels
_MAX_SIZE = 1e6  # px, of sizes and coordinates in annotations
_MAX_WORDS, _MAX_WORD_LENGTH = 32, 80
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_BOX_KEYS = ("x", "y", "width", "height")
_EXPECTED = "NAME/frame1.png, frame2.png and frame3.png (or .jpg, .jpeg, .webp)"
_EXPECTED_ANNOTATION = "JSON with image_size [w, h], motion_RoI {x, y, width, height} and level 0, 1 or 2"
_EXPECTED_FLOWS = f"flows as NAME/{' and '.join(FLOW_NAMES)}"
_EXPECTED_ARRAY = "a float array (2, height, width), x first, as animeinterp dataset flows writes it"


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a frame.

    Attributes:
        x: First column, px.
        y: First row, px.
        width: Number of columns.
        height: Number of rows.
    """

    x: int
    y: int
    width: int
    height: int

    def crop(self, frame: NDArray[Value]) -> NDArray[Value]:
        """Return this part of a frame or map, (H, W, ...), as a view."""
        return frame[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True, slots=True)
class Annotation:
    """The annotation of a triplet.

    Attributes:
        image_size: Width and height that `motion_roi` refers to, px.
        motion_roi: x, y, width and height of the region of interest, px.
        level: Index in `LEVELS`: 0 easy, 1 medium, 2 hard.
        motion_types: Some of translation, rotation, scaling, deformation.
        behaviors: Some of speaking, walking, eating, sporting, fetching, others.
    """

    image_size: tuple[float, float]
    motion_roi: tuple[float, float, float, float]
    level: int
    motion_types: tuple[str, ...] = ()
    behaviors: tuple[str, ...] = ()

    def roi(self, width: int, height: int) -> Region:
        """Scale the motion RoI to frames of another size, clipped to the frame.

        As in the published evaluation, each of the four numbers is rounded down by itself.

        Args:
            width: Width of the frames, px.
            height: Height of the frames, px.

        Returns:
            The region.

        Raises:
            FrameError: The RoI is outside the frame.
        """
        scales = (self.image_size[0] / width, self.image_size[1] / height) * 2
        x, y, w, h = (int(value // scale) for value, scale in zip(self.motion_roi, scales, strict=True))
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        if left >= right or top >= bottom:
            raise FrameError(f"the motion RoI {self.motion_roi} is outside the frame; correct the annotation")
        return Region(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class TripletFiles:
    """The files of a triplet.

    Attributes:
        name: Name of the triplet.
        folder: Folder of its three frames.
        annotation: Annotation file, if any.
        flows: Folder of its SGM flows, if any.
        masks: Folder of its masks, if any.
    """

    name: str
    folder: Path
    annotation: Path | None = None
    flows: Path | None = None
    masks: Path | None = None


def list_triplets(folder: Path, annotations: Path | None = None, flows: Path | None = None) -> list[TripletFiles]:
    """List the triplets of a data set by name. No file is opened.

    Triplets without annotation, flows or masks are listed too, and so are folders that lack a frame; `read_triplet`
    refuses those. Masks are searched in DATASET_masks.

    Args:
        folder: The data set.
        annotations: Folder of the annotations; by default DATASET_annotations or, for ATD-12K's test_2k_540p,
            test_2k_annotations.
        flows: Folder of the SGM flows; by default DATASET_pre_calc_sgm_flows or test_2k_pre_calc_sgm_flows.

    Returns:
        The triplets.

    Raises:
        FileError: A folder does not exist or cannot be read.
        UsageError: A folder has another layout.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder; expected a data set of {_EXPECTED}")
    if annotations is not None and not annotations.is_dir():
        raise FileError(f"{annotations} is not a folder; expected annotations as NAME/NAME.json")
    if flows is not None and not flows.is_dir():
        raise FileError(f"{flows} is not a folder; expected {_EXPECTED_FLOWS}")
    folders = _subfolders(folder)
    if not any(map(_has_frames, folders)):
        inner = [path.name for path in folders if _entries(path) and any(map(_has_frames, _subfolders(path)))]
        hint = f"; {', '.join(inner)} in it looks like one, so give that" if inner else ""
        raise UsageError(f"{folder} holds no triplets: expected {_EXPECTED} in it{hint}")
    annotations = annotations or _find_sibling(folder, "_annotations")
    flow_root, masks = flows or _find_sibling(folder, "_pre_calc_sgm_flows"), _find_sibling(folder, "_masks")
    triplets = [
        TripletFiles(
            path.name,
            folder / path.name,
            _find_annotation(path.name, annotations),
            _find_subfolder(path.name, flow_root),
            _find_subfolder(path.name, masks),
        )
        for path in folders
    ]
    if flows is not None and not any(files.flows for files in triplets):
        raise UsageError(f"{flows} holds no flows of the triplets in {folder}; expected {_EXPECTED_FLOWS} in it")
    return triplets


def shuffle_triplets(folder: Path, seeds: Sequence[int]) -> Iterator[Triplet]:
    """Yield the triplets of a data set endlessly in random order, each once per epoch.

    Args:
        folder: The data set.
        seeds: The same seeds give the same order.

    Yields:
        The triplets.

    Raises:
        FileError: As `list_triplets` and `read_triplet`.
        FrameError: As `read_triplet`.
        UsageError: As `list_triplets`, and for a linear set, which is for evaluation only.
    """
    check_trainable(folder)
    rng = np.random.default_rng(seeds)
    files = list_triplets(folder)
    while True:
        for index in rng.permutation(len(files)):
            yield read_triplet(files[index])


def read_triplet(files: TripletFiles, max_pixels: int = _MAX_PIXELS) -> Triplet:
    """Read the frames of a triplet as 8-bit RGB. Gray is replicated, alpha is composited over mid-gray.

    Args:
        files: The triplet.
        max_pixels: Maximum size of a frame.

    Returns:
        The triplet, with t = 0.5.

    Raises:
        FileError: A frame is missing, ambiguous or damaged.
        FrameError: The frames differ in size, or are too large.
    """
    frames = [rgb8(read_image(_find_frame(files.folder, number), max_pixels).pixels) for number in (1, 2, 3)]
    if len({frame.shape for frame in frames}) > 1:
        sizes = ", ".join(describe(frame).split()[-1] for frame in frames)
        raise FrameError(f"the frames of {files.folder} are {sizes}; expected one size, so export them again")
    frame0, truth, frame1 = frames
    return Triplet(frame0, truth, frame1, 0.5)


def read_annotation(path: Path) -> Annotation:
    """Read an annotation file. Raises FileError if it is damaged or a value is missing or out of range."""
    content = read_json(path, _EXPECTED_ANNOTATION)
    try:
        width, height = (finite_number(value, "image_size", 1, _MAX_SIZE) for value in content["image_size"])
        box = content["motion_RoI"]
        x, y, w, h = (finite_number(box[key], f"motion_RoI {key}", -_MAX_SIZE, _MAX_SIZE) for key in _BOX_KEYS)
        level = finite_number(content["level"], "level", 0, len(LEVELS) - 1)
        if level != int(level):
            raise ValueError("level is not a whole number")
        motion_types, behaviors = (_read_words(content, key) for key in ("general_motion_type", "behavior"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileError(
            f"{path} is not an annotation ({describe_error(error)}); expected {_EXPECTED_ANNOTATION}"
        ) from error
    return Annotation((width, height), (x, y, w, h), int(level), motion_types, behaviors)


def read_flows(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read the precomputed SGM flows of a triplet.

    Args:
        folder: Folder of the two files. ATD-12K's are float64 of 960x540, whatever the size of the frames.

    Returns:
        The flows from frame 1 to frame 3 and from frame 3 to frame 1: float32 (2, h, w), x first, px of that size.

    Raises:
        FileError: A flow is missing, damaged, of another form or not finite.
    """
    flow13, flow31 = (_read_flow(folder / name) for name in FLOW_NAMES)
    if flow13.shape != flow31.shape:
        raise FileError(
            f"the flows of {folder} are {flow13.shape} and {flow31.shape}; expected one shape, so compute them again"
        )
    return flow13, flow31


def _read_flow(path: Path) -> NDArray[np.float32]:
    check_source(path, _EXPECTED_ARRAY)
    try:
        # Memory-mapped: a header cannot claim more memory than the file has.
        content = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}; expected {_EXPECTED_ARRAY}") from error
    except Exception as error:  # the header is a Python literal, whose parser raises any error, even MemoryError
        raise FileError(f"{path} is damaged or not a .npy file; expected {_EXPECTED_ARRAY}") from error
    if not isinstance(content, np.ndarray):
        raise FileError(f"{path} is an archive of arrays; expected {_EXPECTED_ARRAY}")
    if content.ndim != 3 or content.shape[0] != 2 or content.dtype.kind != "f" or not content.size:
        raise FileError(f"{path} holds {content.dtype} {content.shape}; expected {_EXPECTED_ARRAY}")
    if content[0].size > _MAX_PIXELS:
        raise FileError(f"{path} has {content[0].size} pixels, the limit is {_MAX_PIXELS}; expected {_EXPECTED_ARRAY}")
    with np.errstate(over="ignore"):
        flow = np.array(content, np.float32, order="C")
    if not np.isfinite(flow).all():
        raise FileError(f"{path} holds values that are not finite; compute it again")
    return flow


def _subfolders(folder: Path) -> list[Path]:
    """List the subfolders that are not hidden."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; expected a data set of {_EXPECTED}") from error


def _entries(folder: Path) -> list[str]:
    """List the names in a folder; none if it cannot be read."""
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _has_frames(folder: Path) -> bool:
    return {"frame1", "frame2", "frame3"} <= {Path(name).stem for name in _entries(folder)}


def _find_frame(folder: Path, number: int) -> Path:
    stem = f"frame{number}"
    try:
        paths = sorted(path for path in folder.iterdir() if path.stem == stem and path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise FileError(f"cannot read {folder}: {error.strerror}; expected {_EXPECTED}") from error
    if not paths:
        raise FileError(f"{folder} has no {stem}; expected {_EXPECTED}")
    if len(paths) > 1:
        raise FileError(f"{folder} has {' and '.join(path.name for path in paths)}; expected one, so remove the other")
    return paths[0]


def _find_sibling(folder: Path, suffix: str) -> Path | None:
    """Find the folder beside a data set that is named after it, with or without `_540p`."""
    folder = folder.absolute()  # `.` has no name
    names = (f"{folder.name}{suffix}", f"{folder.name.removesuffix('_540p')}{suffix}")
    return next((path for name in names if (path := folder.with_name(name)).is_dir()), None)


def _find_annotation(name: str, annotations: Path | None) -> Path | None:
    path = annotations and annotations / name / f"{name}.json"
    return path if path and os.path.lexists(path) else None


def _find_subfolder(name: str, folder: Path | None) -> Path | None:
    path = folder and folder / name
    return path if path and path.is_dir() else None


def _read_words(content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = content.get(key) or ()
    words = [value] if isinstance(value, str) else list(value)[:_MAX_WORDS]
    return tuple(" ".join(str(word).split())[:_MAX_WORD_LENGTH] for word in words)
