"""The project's own network."""
