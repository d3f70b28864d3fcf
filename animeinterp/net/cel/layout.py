"""Channel layouts of `cel`'s synthesis network, shared by the torch operations and their CPU kernel.

Eight candidates per pixel, four of each frame: the frame sampled along the motion of segment matching (sharp), the
frame splatted along it (right at motion boundaries), the unmoved frame, and the frame sampled along the intermediate
flow (whole under large motion).
"""

from __future__ import annotations

CANDIDATES = 8
CANDIDATES_PER_FRAME = 4
RULED_PER_FRAME = 3  # the first candidates of a frame, weighed by the rule of `classical`

# Input of the network at half size. Colors are pixel-unshuffled: four values per channel, then averages over 2x2 px.
# The CPU kernel builds what belongs to segment matching:
IN_COLORS = 0  # frame 0 sampled along its motion, then frame 1: 12 channels each
IN_COLORS_PER_FRAME = 12
IN_DIFFERENCE = 24  # mean absolute difference of the two, 4 channels
IN_LOG_WEIGHTS = 28  # of the candidates by the rule, divided by 4
IN_MOTION = 34  # x and y of frame 0, of frame 1, divided by 16
IN_DENSITY = 38  # of frame 0, of frame 1
IN_COHERENCE = 40  # of frame 0, of frame 1
IN_TIME = 42
RULED_CHANNELS = 43
# Behind it what belongs to the intermediate flow: colors of both frames (24), their difference (4), flow divided by
# 16 (4), weight of frame 0 (1), agreement of both ways to draw (1).
IN_CHANNELS = RULED_CHANNELS + 34

# Output at full size.
OUT_LOGITS = 0  # of the candidates
OUT_MOTION = 8  # change of the motion of segment matching of frame 0 (x, y), of frame 1, px
OUT_RESIDUAL = 12  # RGB
OUT_CHANNELS = 15
# What the CPU kernel needs besides: the intermediate flow.
OUT_FLOW = OUT_CHANNELS
OUT_AND_FLOW = OUT_CHANNELS + 4
