"""Segmentation of single nuclei from maps of probabilities."""
