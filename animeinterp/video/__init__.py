"""Whole films: read the source, find drawings and cuts, draw the frames between them, write the new film."""
