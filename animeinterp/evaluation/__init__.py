"""How good a drawn frame is."""
