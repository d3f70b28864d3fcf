"""Files: read from strangers and written whole."""
