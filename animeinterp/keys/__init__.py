"""Folders of key drawings: numbering, timing, and the in-betweens between them."""
