"""Drawings of lines: recognized, traced into strokes, matched and drawn as strokes (numpy, OpenCV, numba; no torch)."""
