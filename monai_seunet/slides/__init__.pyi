from .configure import configure_segmenter
from .options import SlideOptions
from .segmenter import SlideSegmenter

__all__ = [
    "SlideOptions",
    "SlideSegmenter",
    "configure_segmenter",
]
