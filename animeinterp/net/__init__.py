"""The learned half (paper §4.2-4.3): torch, never OpenCV."""
