"""Whole slides: reading, windows, nuclei and their files."""
