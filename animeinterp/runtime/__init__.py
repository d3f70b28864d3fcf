"""Threads, background work, and compiled kernels with their disk cache."""
