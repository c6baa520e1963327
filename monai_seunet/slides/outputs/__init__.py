"""Output files of a slide."""
