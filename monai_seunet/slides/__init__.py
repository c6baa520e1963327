"""Segmentation of whole slides: windows at one resolution, maps, nuclei and output files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
