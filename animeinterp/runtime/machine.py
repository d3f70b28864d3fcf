"""How many cores and how much memory this process may use."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")  # limits of a container, on Linux
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")  # on Linux: `always [madvise] never`


def available_cores() -> int:
    """Return the number of cores that this process may use: its affinity and its container limit them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores


def available_memory() -> int | None:
    """Return how many bytes this process may still take, about; None if the system does not tell.

    On macOS, which does not tell how much of its memory is free, it is three quarters of all.
    """
    if sys.platform == "win32":
        return _windows_memory()
    for line in _read(Path("/proc/meminfo")).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            free = 1024 * int(value.split()[0])
            limit, used = _read(_CGROUP / "memory.max").strip(), _read(_CGROUP / "memory.current").strip()
            return max(0, min(free, int(limit) - int(used))) if limit.isdigit() and used.isdigit() else free
    try:
        return (
            int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4) if hasattr(os, "sysconf") else None
        )
    except (OSError, ValueError):
        return None


def has_huge_pages() -> bool:
    """Return whether Linux gives memory in huge pages to programs that ask for them; False on other systems."""
    return any(mode in _read(_HUGE_PAGES) for mode in ("[always]", "[madvise]"))


def _windows_memory() -> int | None:
    """Return the free memory of Windows, bytes."""

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX."""

        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "total_page", "free_page")),
            *((name, ctypes.c_ulonglong) for name in ("total_virtual", "free_virtual", "free_extended")),
        ]

    status = Status(length=ctypes.sizeof(Status))
    windll = getattr(ctypes, "windll", None)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.free)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
