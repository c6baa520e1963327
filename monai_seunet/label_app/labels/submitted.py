"""Submitted labels: masks and outlines, checked against their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_seunet.data.outlines import EDGE_TOLERANCE, check_annotated_size, class_of, named, no_outline
from monai_seunet.reading import raster
from monai_seunet.reading.annotations import read_annotations
from monai_seunet.reading.annotations.filling import bounds_of, pixels_of
from monai_seunet.reading.names import VENDOR_SUFFIXES, is_image_name
from monai_seunet.reading.opening import open_slide
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import suffix_of

OUTLINES = (".xml", ".geojson", ".geojson.gz")  # not .json: MONAI Label's own files are .json
CONTEXT = 32  # labelled margin around the outermost outlines, in pixels
WHOLE = 2**22  # largest image, in pixels, that annotators label as a whole
MAX_PIXELS = 2**26


@dataclass(frozen=True)
class Label:
    """Class mask of a part of an image.

    Attributes:
        classes: (H, W) uint8, 0 for background.
        corner: (y, x) of the part in the image, in pixels.
    """

    classes: np.ndarray
    corner: tuple[int, int] = (0, 0)


def is_label_name(path: str | Path) -> bool:
    """Return whether a file name is that of a label."""
    return _is_outlines(path) or (is_image_name(path) and suffix_of(path) not in VENDOR_SUFFIXES)


def read_submitted(path: str | Path, image: str | Path, classes: Sequence[str]) -> Label:
    """Read a submitted label.

    A mask has the size of its image and contains class numbers, or 255 for a single class. Outlines label an image of
    up to 4 million pixels as a whole; on a larger image they label the rectangle around them.

    Args:
        path: mask (PNG, TIFF, NIfTI, NRRD, MHA, ...), or outlines in a form that `read_annotations` reads.
        image: file of the image to which the label belongs.
        classes: names of the foreground classes.

    Raises:
        InputError: for a damaged file, a mask of another size, unknown classes, or outlines that are missing.
    """
    path = Path(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path.name}: the label is empty; export it again")
    with open_slide(image) as slide:
        size = (slide.height, slide.width)
    if _is_outlines(path):
        return _draw(path, Path(image).name, size, classes)
    return Label(_classes(raster.read_label(path), path.name, size, len(classes)))


def _is_outlines(path: str | Path) -> bool:
    return Path(path).name.lower().endswith(OUTLINES)


def _classes(mask: np.ndarray, name: str, size: tuple[int, int], count: int) -> np.ndarray:
    if mask.shape != size:
        got, wanted = (f"{width} x {height}" for height, width in (mask.shape, size))
        raise InputError(f"{name}: the label has {got} pixels, its image {wanted}; export it for the whole image")
    values = np.unique(mask)
    if count == 1 and set(values.tolist()) <= {0, 255}:
        mask, values = mask > 0, np.array([0, 1])
    if values[0] < 0 or values[-1] > count or (values != np.round(values)).any():
        raise InputError(f"{name}: the label holds {values[-1]:g}; give class numbers from 0 (background) to {count}")
    return mask.astype(np.uint8)


def _draw(path: Path, image_name: str, size: tuple[int, int], classes: Sequence[str]) -> Label:
    content = read_annotations(path, image_name)
    check_annotated_size(content, size, path.name)
    outlines = [
        (index + 1, annotation)
        for annotation in content.annotations
        if (index := class_of(annotation, classes)) is not None
        and (annotation.mask or any(len(part.outer) > 2 for part in annotation.parts))
    ]
    if not outlines:
        reason = f"there are {named(content.annotations)}" if content.annotations else f"the file {no_outline(content)}"
        wanted = " or ".join(classes)
        raise InputError(f"{path.name}: no outline of {wanted} ({reason}); for an empty image submit a mask of zeros")
    bounds = [bounds_of(annotation) for _, annotation in outlines]
    least = np.min([corner for corner, _ in bounds], axis=0)
    most = np.max([corner for _, corner in bounds], axis=0)
    if least.min() < -EDGE_TOLERANCE or (most > np.add(size[::-1], EDGE_TOLERANCE)).any():
        raise InputError(
            f"{path.name}: outlines reach from ({least[0]:g}, {least[1]:g}) to ({most[0]:g}, {most[1]:g}), beyond the "
            f"{size[1]} x {size[0]} pixels of the image; was it scaled?"
        )
    top, left, bottom, right = 0, 0, *size
    if size[0] * size[1] > WHOLE:
        top, left = (max(0, int(value) - CONTEXT) for value in least[::-1])
        bottom, right = (min(end, int(value) + CONTEXT) for end, value in zip(size, most[::-1], strict=True))
    if (bottom - top) * (right - left) > MAX_PIXELS:
        raise InputError(f"{path.name}: outlines lie too far apart; submit regions of at most {MAX_PIXELS} pixels")
    label = np.zeros((bottom - top, right - left), np.uint8)
    for class_number, annotation in outlines:
        label[pixels_of(annotation, label.shape, (top, left))] = class_number
    return Label(label, (top, left))
