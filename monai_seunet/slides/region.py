"""A part of a slide, with what the network has to see around it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from monai_seunet.errors import InputError
from monai_seunet.slides.view import SlideView

Rectangle = tuple[float, float, float, float]


def part_of(whole: SlideView, region: Sequence[int] | None, context: int) -> tuple[SlideView, Rectangle | None]:
    """The view that a region needs, and where the region lies in it.

    Args:
        whole: of the slide.
        region: x, y, width and height in base pixels; what lies outside the slide is left out. None for all of it.
        context: working pixels to be seen around it, as far as the slide goes.

    Returns:
        The view; and y0, x0, y1, x1 of the region in its pixels, None where there is none.

    Raises:
        InputError: for a region outside the slide.
    """
    if region is None:
        return whole, None
    x, y, width, height = region
    ends = [
        (max(0.0, start * scale), min(float(length), (start + size) * scale))
        for start, size, scale, length in (
            (y, height, whole.scale[0], whole.height),
            (x, width, whole.scale[1], whole.width),
        )
    ]
    top, left, bottom, right = base_region(whole, region)
    if any(first >= last for first, last in (*ends, (top, bottom), (left, right))):
        slide = whole.slide
        raise InputError(f"{slide.path}: region {list(region)} lies outside its {slide.width} x {slide.height} pixels")
    (y0, y1), (x0, x1) = ends
    top, left = (max(0, math.floor(first) - context) for first in (y0, x0))
    bottom, right = min(whole.height, math.ceil(y1) + context), min(whole.width, math.ceil(x1) + context)
    return whole.part(top, left, bottom - top, right - left), (y0 - top, x0 - left, y1 - top, x1 - left)


def base_region(whole: SlideView, region: Sequence[int]) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what the slide has of a region, in base pixels.

    Args:
        whole: of the slide.
        region: as for `part_of`, which refuses one that the slide has nothing of.
    """
    x, y, width, height = region
    return max(0, y), max(0, x), min(whole.slide.height, y + height), min(whole.slide.width, x + width)
