"""Experiments: many trainings that are compared, described by one file, run, resumed and reported by one command."""
