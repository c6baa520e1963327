"""µm per pixel of a slide: stated, estimated, checked; and the scale groups that it needs."""
