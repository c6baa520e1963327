"""Scores of objects."""
