"""TODO scales."""
