"""Builds training and test triplets from films."""
