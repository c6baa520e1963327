"""Files of images, slides and labels: the one place that says what their samples, sizes and names mean."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
