"""Data sets: from a download as users have it to a MONAI data list."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
