"""Preparation of data sets from users' downloads, and their MONAI data lists."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
