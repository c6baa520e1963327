"""µm per pixel of a slide, from files or estimated, and the scale groups that the slide needs."""
