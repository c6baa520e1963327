"""Predictions drawn over the image: contours of the classes, and which scale decided where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from monai_seunet.drawing.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW, head_colours

# Of the colours that colour-blind readers can tell apart, those far from the blue and pink of H&E come first.
CONTOUR_COLOURS = (YELLOW, GREEN, SKY, ORANGE, VERMILION, BLUE, PURPLE)
CONTOUR_RGB = [tuple(bytes.fromhex(colour.removeprefix("#"))) for colour in CONTOUR_COLOURS]  # 0 to 255


def draw_contours(
    image: np.ndarray, labels: np.ndarray, width: int = 2, colours: Sequence[str] = CONTOUR_COLOURS
) -> np.ndarray:
    """Outline the objects of every class on an image, just inside their border.

    Invariant: pixels off the outlines are those of the image; background (0) has no outline.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) class indices.
        width: pixels of the line.
        colours: hexadecimal colour of class 1, 2 ...; reused where there are more classes.

    Returns:
        (H, W, 3) uint8.
    """
    from scipy.ndimage import binary_dilation
    from skimage.segmentation import find_boundaries

    palette = np.array([rgb(colour) for colour in colours], np.uint8)
    outline = find_boundaries(labels, mode="inner", connectivity=1) & (labels > 0)
    if width > 1:
        outline = binary_dilation(outline, iterations=width - 1) & (labels > 0)
    drawn = image.copy()
    drawn[outline] = palette[(labels[outline].astype(int) - 1) % len(palette)]
    return drawn


def draw_scales(image: np.ndarray, scale_map: np.ndarray, labels: np.ndarray, num_groups: int) -> np.ndarray:
    """Tint every foreground pixel by the scale group that decided it, from dark (small) to light (large).

    Args:
        image: (H, W, 3) uint8; shown in grey, so that no colour of the stain is mistaken for a scale.
        scale_map: (H, W) indices of groups.
        labels: (H, W) class indices; the background is not tinted.
        num_groups: S

    Returns:
        (H, W, 3) uint8.
    """
    palette = np.array([rgb(colour) for colour in head_colours(num_groups)], np.float32)
    grey = image.astype(np.float32).mean(axis=2, keepdims=True).repeat(3, axis=2)
    foreground = labels > 0
    grey[foreground] = 0.35 * grey[foreground] + 0.65 * palette[scale_map[foreground].astype(int)]
    return np.round(grey).astype(np.uint8)


def add_legend(picture: np.ndarray, entries: Sequence[tuple[str, str]], title: str = "") -> np.ndarray:
    """Put a line of coloured names below a picture, whose own pixels stay in place.

    Args:
        picture: (H, W, 3) uint8.
        entries: hexadecimal colour and name of each; they wrap to the width of the picture.
        title: what the names are.

    Returns:
        (H + h, W, 3) uint8.
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    height, width = picture.shape[:2]
    size = int(np.clip(width / 45, 11, 40))
    # Pillow's own font has neither σ nor µ.
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
    """Names of the scale groups for a legend: their sigma in pixels of the image, and in µm where the mpp is known.

    Args:
        sigmas: sigma of each group in pixels of the image.
        mpp: µm per pixel of the image.
    """
    return [f"{sigma:.3g} px" + ("" if mpp is None else f" ({sigma * mpp:.2g} µm)") for sigma in sigmas]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue (0 to 255) of a colour such as `#0072B2`."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
