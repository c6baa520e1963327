"""Overlays of predictions on the image: contours of the classes, and the winning scale group of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from monai_seunet.drawing.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW, head_colours

# Colours that colour-blind readers can distinguish, those that differ most from the blue and pink of H&E first.
CONTOUR_COLOURS = (YELLOW, GREEN, SKY, ORANGE, VERMILION, BLUE, PURPLE)
CONTOUR_RGB = [tuple(bytes.fromhex(colour.removeprefix("#"))) for colour in CONTOUR_COLOURS]  # 0 to 255


def draw_contours(image: np.ndarray, labels: np.ndarray, width: int = 2) -> np.ndarray:
    """Draw the outlines of every class on an image, inside their border.

    The classes from 1 on have the colours `CONTOUR_COLOURS`, which further classes use again.
    Invariant: all other pixels are unchanged; background (0) has no outline.

    Args:
        image: image (H, W, 3) uint8.
        labels: class indices (H, W).
        width: width of the outline in pixels.

    Returns:
        the image with outlines (H, W, 3) uint8.
    """
    from scipy.ndimage import binary_dilation
    from skimage.segmentation import find_boundaries

    palette = np.array(CONTOUR_RGB, np.uint8)
    outline = find_boundaries(labels, mode="inner", connectivity=1) & (labels > 0)
    if width > 1:
        outline = binary_dilation(outline, iterations=width - 1) & (labels > 0)
    drawn = image.copy()
    drawn[outline] = palette[(labels[outline].astype(int) - 1) % len(palette)]
    return drawn


def draw_scales(image: np.ndarray, scale_map: np.ndarray, labels: np.ndarray, num_groups: int) -> np.ndarray:
    """Tint every foreground pixel by its winning scale group, from dark (small) to light (large).

    Args:
        image: image (H, W, 3) uint8, which is drawn in grey to distinguish stains from scale groups.
        scale_map: indices of the winning groups (H, W).
        labels: class indices (H, W); background is not tinted.
        num_groups: number of groups S.

    Returns:
        the tinted image (H, W, 3) uint8.
    """
    palette = np.array([rgb(colour) for colour in head_colours(num_groups)], np.float32)
    grey = image.astype(np.float32).mean(axis=2, keepdims=True).repeat(3, axis=2)
    foreground = labels > 0
    grey[foreground] = 0.35 * grey[foreground] + 0.65 * palette[scale_map[foreground].astype(int)]
    return np.round(grey).astype(np.uint8)


def add_legend(picture: np.ndarray, entries: Sequence[tuple[str, str]], title: str = "") -> np.ndarray:
    """Add lines with coloured names below a picture.

    Args:
        picture: picture (H, W, 3) uint8.
        entries: hexadecimal colours and names, which wrap to the width of the picture.
        title: title before the names.

    Returns:
        the picture with the legend (H + h, W, 3) uint8.
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    height, width = picture.shape[:2]
    size = int(np.clip(width / 45, 11, 40))
    # The default font of Pillow lacks σ and µ.
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)
    x, y, gap = size // 2, size // 2, size
    placed: list[tuple[int, int, str, str]] = []
    for colour, text in [("", title), *entries] if title else entries:
        length = round(font.getlength(text)) + (gap * 3 // 2 if colour else 0)
        if placed and x + length > width:
            x, y = size // 2, y + size * 3 // 2
        placed.append((x, y, colour, text))
        x += length + gap
    canvas = Image.new("RGB", (width, height + y + size * 3 // 2), "white")
    canvas.paste(Image.fromarray(picture))
    draw = ImageDraw.Draw(canvas)
    for x, y, colour, text in placed:
        if colour:
            draw.rectangle((x, height + y, x + gap, height + y + gap), fill=colour)
        draw.text((x + (gap * 3 // 2 if colour else 0), height + y), text, fill="black", font=font)
    return np.asarray(canvas)


def scale_names(sigmas: Sequence[float], mpp: float | None = None) -> list[str]:
    """Return names of scale groups such as `2 px (1 µm)`, for sigmas in pixels of an image and its µm per pixel."""
    return [f"{sigma:.3g} px" + ("" if mpp is None else f" ({sigma * mpp:.2g} µm)") for sigma in sigmas]


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue (0 to 255) of a colour such as `#0072B2`."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
