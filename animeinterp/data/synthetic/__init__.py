"""Synthetic cartoon scenes with exact truth; begin at `source`."""
