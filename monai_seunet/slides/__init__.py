"""Whole slides: from the file of a scanner to windows at one resolution, and from there to nuclei."""
