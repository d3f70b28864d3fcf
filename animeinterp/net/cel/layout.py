"""Channel layouts of `cel`'s synthesis network, shared by the torch operations and their CPU kernel.

Six candidates per pixel, three of each frame: the frame sampled along the motion that leads here (sharp), the splatted
frame (right at motion boundaries), the unmoved frame.
"""

from __future__ import annotations

CANDIDATES = 6
CANDIDATES_PER_FRAME = 3

# Input of the network at half size. Colors are pixel-unshuffled: four values per channel, then averages over 2x2 px.
IN_COLORS = 0  # frame 0 sampled along its motion, then frame 1: 12 channels each
IN_COLORS_PER_FRAME = 12
IN_DIFFERENCE = 24  # mean absolute difference of the two, 4 channels
IN_LOG_WEIGHTS = 28  # of the candidates by the rule, divided by 4
IN_MOTION = 34  # x and y of frame 0, of frame 1, divided by 16
IN_DENSITY = 38  # of frame 0, of frame 1
IN_COHERENCE = 40  # of frame 0, of frame 1
IN_TIME = 42
IN_CHANNELS = 43

# Output at full size.
OUT_LOGITS = 0  # of the candidates
OUT_MOTION = 6  # change of the motion of frame 0 (x, y), of frame 1, px
OUT_RESIDUAL = 10  # RGB
OUT_CHANNELS = 13
