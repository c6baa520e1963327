"""TODO magnification."""
