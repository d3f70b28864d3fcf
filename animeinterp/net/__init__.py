"""The learned half (paper §3.2-3.4): torch, never OpenCV."""
