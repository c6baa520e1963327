"""Whole slides: from an open image to windows at one resolution, and from there to nuclei."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
