"""TODO rotation."""
