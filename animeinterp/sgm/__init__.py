"""Segment-guided matching (paper §4.1): numpy, OpenCV and numba, never torch."""
