"""One format, or family of formats, a file."""
