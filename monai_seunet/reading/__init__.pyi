from .opening import open_slide
from .raster import Raster, read_image, read_label, read_raster
from .reader import HistologyReader
from .slide import Choice, Slide

__all__ = [
    "Choice",
    "HistologyReader",
    "Raster",
    "Slide",
    "open_slide",
    "read_image",
    "read_label",
    "read_raster",
]
