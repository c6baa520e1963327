"""The network on a slide: views, windows, maps."""
