"""A pair of frames to try the program on; SOURCE.md names their source and license.

FRAME0 and FRAME1 are the pair, 960x540; TRUTH is the same scene posed halfway, for comparison.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent
FRAME0, FRAME1, TRUTH = _FOLDER / "frame0.webp", _FOLDER / "frame1.webp", _FOLDER / "truth.webp"
