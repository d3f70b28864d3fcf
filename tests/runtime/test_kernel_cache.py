"""Compiled kernels are loaded from the disk unchanged, and damaged or planted files do no harm."""

from __future__ import annotations

import errno
import importlib.util
import os
import pickle
import pkgutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import animeinterp
from animeinterp.errors import CacheWarning
from animeinterp.runtime import kernel_cache
from animeinterp.runtime.kernel_cache import KernelCache

SOURCE = """
from animeinterp.runtime.jit import cached_njit

@cached_njit()
def double(values):
    for i in range(values.size):
        values[i] *= 2

@cached_njit()
def half(values):
    for i in range(values.size):
        values[i] //= 2
"""
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes of POSIX systems")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with a module of kernels; home and temporary files are in folders beside it."""
    for name in ("site", "temporary"):
        (tmp_path / name).mkdir()
    (tmp_path / "site" / "kernels.py").write_text(SOURCE, encoding="utf-8")
    for name in ("HOME", "LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr(kernel_cache.AppDirs, "user_cache_dir", str(tmp_path / "home" / "animeinterp"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "site"


def start(site):
    """Load the module as a new process would, with no record of folders that failed."""
    kernel_cache._WRITER.__init__()
    spec = importlib.util.spec_from_file_location("kernels", site / "kernels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def was_cached(kernel) -> bool:
    """Call a kernel, check its result, and return whether it was loaded from the disk."""
    values = np.arange(4)
    kernel(values)
    assert values.tolist() in ([0, 2, 4, 6], [0, 0, 1, 1])
    return bool(sum(kernel.stats.cache_hits.values()))


def stored(folder):
    return sorted(folder.rglob("*.nbc"))


class Bomb:
    def __reduce__(self):
        return (Path("exploded").touch, ())


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGE = {
    "empty": lambda content: b"",
    "cut in the head": lambda content: content[:10],
    "cut": lambda content: content[: len(content) // 2],
    "a bit in the head": lambda content: flip(content, 30),
    "a bit of the code": lambda content: flip(content, len(content) // 2),
    "the last bit": lambda content: flip(content, len(content) - 1),
    "longer": lambda content: content + b"x",
    "zeros": lambda content: bytes(len(content)),
    "a text": lambda content: b"hello",
    "numba's own": lambda content: pickle.dumps(numba.__version__) + pickle.dumps(("stamp", {})),
    "a pickle that runs code": lambda content: pickle.dumps(Bomb()),
    "the same behind our head": lambda content: content[:53] + pickle.dumps(Bomb()),
}


def test_kernels_are_loaded_from_the_disk(site):
    assert not was_cached(start(site).double)
    assert [path.parent for path in stored(site.parent)] == [site / "__pycache__"]
    assert was_cached(start(site).double)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_replaced(site, damage, monkeypatch):
    monkeypatch.chdir(site.parent)
    was_cached(start(site).double)
    (path,) = stored(site)
    content = path.read_bytes()
    path.write_bytes(DAMAGE[damage](content))
    assert not was_cached(start(site).double)
    assert not Path("exploded").exists()
    assert was_cached(start(site).double)
    assert stored(site.parent) == [path]


def test_the_file_of_another_kernel_is_not_used(site):
    module = start(site)
    was_cached(module.double)
    (double,) = stored(site)
    was_cached(module.half)
    (half,) = set(stored(site)) - {double}
    double.write_bytes(half.read_bytes())
    values = np.arange(4)
    start(site).double(values)
    assert values.tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_folder_or_pipe_in_place_of_the_file_is_ignored(site, kind):
    was_cached(start(site).double)
    (path,) = stored(site)
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif hasattr(os, "mkfifo"):
        os.mkfifo(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not was_cached(start(site).double)
        assert was_cached(start(site).double)


@pytest.mark.parametrize("library", ["numba", "np"])
def test_another_version_or_processor_has_its_own_files(site, library, monkeypatch):
    was_cached(start(site).double)
    monkeypatch.setattr(getattr(kernel_cache, library), "__version__", "0.1")
    assert not was_cached(start(site).double)
    assert len(stored(site)) == 2
    monkeypatch.undo()


def test_changed_source_is_compiled(site):
    was_cached(start(site).double)
    # Of another length: Python takes its own bytecode of a file of the same length and second.
    (site / "kernels.py").write_text(SOURCE.replace("*= 2", "*= 30"), encoding="utf-8")
    kernel_cache._hash_source.cache_clear()
    values = np.arange(4)
    start(site).double(values)
    assert values.tolist() == [0, 30, 60, 90]


def block(folder):
    """Put a file where a folder would be made."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"")


def test_the_user_s_folder_is_the_second_choice(site):
    block(site / "__pycache__")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        was_cached(start(site).double)
        assert was_cached(start(site).double)
    assert [path.parent for path in stored(site.parent)] == [site.parent / "home" / "animeinterp" / "kernels"]


@posix
def test_the_last_choice_is_a_private_temporary_folder_with_one_warning(site):
    block(site / "__pycache__")
    block(site.parent / "home")
    module = start(site)
    with pytest.warns(CacheWarning, match="NUMBA_CACHE_DIR") as warned:
        cached = [was_cached(kernel) for kernel in (module.double, module.half)]
    assert cached == [False, False]
    assert len(warned) == 1
    (folder,) = {path.parent for path in stored(site.parent)}
    assert folder.parent == site.parent / "temporary"
    assert folder.stat().st_mode & 0o777 == 0o700
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = start(site)
        assert was_cached(module.double)
        assert was_cached(module.half)


def test_without_any_folder_kernels_still_compile(site):
    for folder in (site / "__pycache__", site.parent / "home"):
        block(folder)
    (site.parent / "temporary").rmdir()
    module = start(site)
    with pytest.warns(CacheWarning, match="each start compiles") as warned:
        cached = [was_cached(kernel) for kernel in (module.double, module.half)]
    assert cached == [False, False]
    assert len(warned) == 1


def test_a_full_disk_moves_kernels_to_the_next_folder(site, monkeypatch):
    original = kernel_cache.atomic_path

    def full(path, **options):
        if path.is_relative_to(site):
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, **options)

    monkeypatch.setattr(kernel_cache, "atomic_path", full)
    was_cached(start(site).double)
    assert was_cached(start(site).double)
    assert not stored(site)


@posix
@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_that_others_can_write_to_is_not_trusted(site, mode):
    was_cached(start(site).double)
    (site / "__pycache__").chmod(mode)
    site.chmod(0o755)
    assert not was_cached(start(site).double)
    assert was_cached(start(site).double)
    assert stored(site.parent / "home")


@posix
def test_a_file_that_others_can_write_to_is_not_trusted(site):
    was_cached(start(site).double)
    (path,) = stored(site)
    path.chmod(0o666)
    assert not was_cached(start(site).double)
    assert was_cached(start(site).double)


@posix
@pytest.mark.parametrize("plant", ["open to all", "a link", "of another user"])
def test_planted_temporary_folders_are_ignored(site, plant, monkeypatch):
    block(site / "__pycache__")
    block(site.parent / "home")
    planted = site.parent / "temporary" / f"animeinterp-kernels-{os.geteuid()}-"
    if plant == "a link":
        (site.parent / "elsewhere").mkdir(mode=0o700)
        planted.symlink_to(site.parent / "elsewhere")
    else:
        planted.mkdir(mode=0o700)
    if plant == "open to all":
        planted.chmod(0o777)
    if plant == "of another user":
        if os.geteuid():
            pytest.skip("only root can give folders away")
        os.chown(planted, 12345, 12345)
    with pytest.warns(CacheWarning):
        was_cached(start(site).double)
    assert not stored(planted)
    assert len(stored(site.parent / "temporary")) == 1


def test_a_relative_home_is_not_used(site, monkeypatch):
    monkeypatch.chdir(site.parent)
    monkeypatch.setattr(kernel_cache.AppDirs, "user_cache_dir", "~/.cache/animeinterp")
    block(site / "__pycache__")
    with pytest.warns(CacheWarning):
        was_cached(start(site).double)
    assert not Path("~").exists()


def test_processes_may_write_at_the_same_time(site):
    code = "import numpy as np; from kernels import double; double(np.arange(4)); print(len(double.stats.cache_hits))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(Path(animeinterp.__file__).parents[1])])}

    def begin():
        return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)

    running = [begin(), begin()]
    assert {process.communicate()[0].strip() for process in running} <= {"0", "1"}
    assert len(stored(site)) == 1
    assert not list(site.rglob("*.part"))
    assert begin().communicate()[0].strip() == "1"


def test_every_kernel_of_the_package_uses_this_cache():
    kernels = []
    for entry in pkgutil.walk_packages(animeinterp.__path__, "animeinterp."):
        if entry.name.startswith(("animeinterp.sgm.", "animeinterp.net.", "animeinterp.flow")):
            module = importlib.import_module(entry.name)
            kernels += [value for value in vars(module).values() if isinstance(value, Dispatcher)]
    assert len(kernels) > 40
    assert all(isinstance(kernel._cache, KernelCache) for kernel in kernels)
