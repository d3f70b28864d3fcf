"""A pair of frames to try the program on; SOURCE.md says where they come from and under which license.

FRAME0, FRAME1: the pair, 960x540. TRUTH: the same scene posed half-way, to compare with.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent
FRAME0, FRAME1, TRUTH = _FOLDER / "frame0.webp", _FOLDER / "frame1.webp", _FOLDER / "truth.webp"
