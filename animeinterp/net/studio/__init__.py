"""`studio`: a heavy network from public weights (GMFSS Fortuna "union"), one file per part.

    global_flow.py    GMFlow: global matching between two frames (Xu et al., CVPR 2022)
    attention.py      its windowed attention
    parts.py          importance of each pixel (metric), feature pyramid
    intermediate.py   RIFE 4.6's intermediate flow (Huang et al., ECCV 2022)
    synthesis.py      GridNet with a pixel-shuffle head
    model.py          the whole: encode, flow, synthesize

Module attributes are named as in the published weights.
"""
