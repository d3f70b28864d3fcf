"""Training: losses, and one loop that reads top to bottom."""
