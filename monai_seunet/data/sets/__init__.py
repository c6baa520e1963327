"""TODO sets."""
