"""Scores of single objects."""
