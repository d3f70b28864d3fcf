"""Cel-shaded scenes of rigged 3D characters with exact ground truth; start at `dataset`."""
