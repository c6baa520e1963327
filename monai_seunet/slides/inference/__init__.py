"""Inference on a slide: views, windows and maps."""
