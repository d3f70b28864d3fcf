"""`studio`: a heavy network from public weights (GMFSS Fortuna "union"), one file per part.

    global_flow.py    GMFlow: global matching between two frames (Xu et al. 2022)
    attention.py      its windowed attention
    importance.py     importance of each pixel (metric network)
    pyramid.py        feature pyramid
    synthesis.py      GridNet with a pixel-shuffle head
    model.py          all of it: encode, flow, synthesize
    restoration.py    joins the drawings of `cel`, RIFE and GMFSS
    adapter.py        the interface of all networks, see `animeinterp.net.adapters`

Module attributes are named as in the published weights.
"""
