"""The most memory that this process has held."""

from __future__ import annotations

import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

STATUS = Path("/proc/self/status")


def peak_bytes() -> float:
    """Peak of resident memory in bytes; NaN where the system does not tell."""
    if STATUS.exists():  # Linux, where ru_maxrss counts what the parent held when it started this process
        lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="utf-8").splitlines())
        return 1024.0 * int(lines["VmHWM"].split()[0])
    if resource is None:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
