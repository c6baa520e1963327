"""TODO discrete."""
