from .configure import configure_segmenter
from .model import SlideModel
from .options import SlideOptions
from .segmenter import SlideSegmenter

__all__ = [
    "SlideModel",
    "SlideOptions",
    "SlideSegmenter",
    "configure_segmenter",
]
