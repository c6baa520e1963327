"""What the configs of a bundle choose: options, texts, devices, and the objects that they describe."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
