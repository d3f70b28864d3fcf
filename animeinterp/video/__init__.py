"""Whole films: read, find drawings and cuts, draw what is missing between them, write beside everything else."""
