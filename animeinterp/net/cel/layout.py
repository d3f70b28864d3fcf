"""Candidates of `cel` for each pixel, shared by the torch operations and their CPU kernel.

Four of each frame: the frame sampled along the motion of segment matching (sharp), the frame splatted along it (right
at motion boundaries), the unmoved frame, and the frame sampled along the intermediate flow (whole under large motion).
"""

from __future__ import annotations

CANDIDATES = 8
CANDIDATES_PER_FRAME = 4
RULED_PER_FRAME = 3  # the first candidates of a frame, weighed by the rule of `classical`

# What the CPU kernel reads of a `BlendPrediction`, as channels of one array.
LOGITS = 0
FLOW = 8  # to frame 0 (x, y), to frame 1, px
CHANNELS = 12
