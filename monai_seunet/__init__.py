"""Segment nuclei and tissue at any magnification and in any orientation, as MONAI components.

Modules are imported when they are first used: `import monai_seunet` alone imports neither torch nor MONAI.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
