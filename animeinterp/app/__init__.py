"""The page: `animeinterp app` shows the package in a browser (Gradio), for those who would rather click.

One file per tab (`two_drawings`, …) and per concept. What the tabs show is computed by modules that know nothing of
Gradio (`drawing_pair`, `downloads`). The page needs no network: fonts and scripts come from this machine, nothing is
reported to anybody, and it answers on this machine only unless it is told otherwise.
"""
