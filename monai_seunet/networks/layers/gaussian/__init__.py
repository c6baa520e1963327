"""TODO gaussian."""
