"""Segment-guided matching (paper §3.1): numpy, OpenCV and numba, never torch."""
