"""From a film file or folder to frames with times and color."""
