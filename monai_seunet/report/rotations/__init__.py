"""TODO rotations."""
