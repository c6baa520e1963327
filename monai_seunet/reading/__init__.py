"""Readers of images, slides and labels. No other package decodes files or interprets their names and pixel sizes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
