"""Training of `cel`: settings, loop, losses, sources, log and checkpoints."""
