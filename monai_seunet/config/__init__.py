"""Reading of a bundle's configs and options: options that are texts, devices, networks and weights."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
