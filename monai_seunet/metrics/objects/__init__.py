"""TODO objects."""
