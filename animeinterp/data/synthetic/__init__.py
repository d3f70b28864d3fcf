"""Synthetic cartoon scenes with exact ground truth; start at `dataset`."""
