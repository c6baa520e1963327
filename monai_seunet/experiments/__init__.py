"""Experiments: comparisons of many trainings, with one file for the settings and one command for each step."""
