"""Decoder of PNG, JPEG, BMP, JPEG 2000 and WebP by Pillow, or by imagecodecs if Pillow would truncate to 8 bits."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from monai_seunet.reading.colours import Colours
from monai_seunet.reading.formats.decoded import Decoded, colours_of
from monai_seunet.reading.pixel_size import UM_PER_INCH, PixelSize, number, pixel_size
from monai_seunet.reading.slide import AS_STORED, Orientation, orientation_of
from monai_seunet.utils.errors import InputError

FORMATS = ("PNG", "JPEG", "BMP", "JPEG2000", "WEBP")  # no others, because Pillow starts programs for some of them
ORIENTATION_TAG = 274
_PNG, _JPEG_2000, _CODESTREAM = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51"
_HEADER_BYTES = 1 << 16


def decode_picture(path: Path) -> Decoded:
    """Decode a picture (a palette image keeps its indices), or raise an InputError if it is too large."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too large for this format ({error}); convert it to a tiled TIFF") from error
    with opened as image:
        with open(path, "rb") as file:
            head = file.read(_HEADER_BYTES)
        deep = _deep(path, head)
        if deep is None:
            image.load()
        samples, colours = deep or _samples(image, head[24] if head.startswith(_PNG) else 8)
        orientation, notes = _orientation(image)
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format in ("PNG", "WEBP"):
            notes = [*notes, f"the first of {frames} frames"]
        return Decoded(samples, colours, _sizes(image.info.get("dpi")), orientation, notes)


def _deep(path: Path, head: bytes) -> tuple[np.ndarray, Colours | None] | None:
    """Decode a PNG or JPEG 2000 with more than 8 bits, which Pillow truncates in colour; None for all other files."""
    if head.startswith(_PNG) and head[24] == 16:
        samples = np.atleast_3d(imagecodecs.png_decode(path.read_bytes()))
    elif head.startswith((_JPEG_2000, _CODESTREAM)) and _bits_of_jpeg_2000(head) > 8:
        samples = np.atleast_3d(imagecodecs.jpeg2k_decode(path.read_bytes()))
    else:
        return None
    if samples.shape[2] in (2, 4):
        return samples, Colours("grey" if samples.shape[2] == 2 else "RGB", 16, "straight")
    return samples, colours_of(samples)


def _bits_of_jpeg_2000(head: bytes) -> int:
    """Return the bits per sample in the box `ihdr`: height, width, channels, (bits - 1) with a flag for signs."""
    if head.startswith(_CODESTREAM):
        return (head[42] & 0x7F) + 1 if len(head) > 42 else 8
    offset = head.find(b"ihdr")
    if offset < 0 or offset + 15 > len(head):
        return 8
    bits = int(struct.unpack_from(">IIHB", head, offset + 4)[3])
    return 8 if bits == 255 else (bits & 0x7F) + 1


def _samples(image: Image.Image, bits: int) -> tuple[np.ndarray, Colours | None]:
    if image.mode == "PA":
        image = image.convert("RGBA")
    if image.mode in ("RGBX", "HSV"):
        image = image.convert("RGB")
    samples = np.atleast_3d(np.array(image))  # a copy, because torch rejects Pillow's read-only array
    clear = image.info.get("transparency")
    if image.mode == "1":
        return samples.astype(np.uint8), Colours("grey", 1)
    if image.mode == "P":
        return samples, Colours("palette", palette=_palette(image, clear))
    kind, alpha = {
        "LA": ("grey", "straight"),
        "La": ("grey", "premultiplied"),
        "RGBA": ("RGB", "straight"),
        "RGBa": ("RGB", "premultiplied"),
        "CMYK": ("CMYK", ""),
        "YCbCr": ("YCbCr", ""),
    }.get(image.mode, ("", ""))
    if kind:
        return samples, Colours(kind, alpha=alpha)
    colours = colours_of(samples)
    if image.mode == "L" and bits in (2, 4):  # Pillow has scaled them to 8 bits
        samples, colours = samples // (255 // ((1 << bits) - 1)), Colours("grey", bits)
    if colours is not None and clear is not None and not isinstance(clear, bytes):
        colours = colours._replace(clear=tuple(clear) if isinstance(clear, tuple) else (int(clear),))
    return samples, colours


def _palette(image: Image.Image, clear: Any) -> np.ndarray:
    """Return the colours of 256 indices: (256, 3), or (256, 4) with alpha."""
    stored = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(stored)] = stored
    if clear is None:
        return palette
    alpha = np.full((256, 1), 255, np.uint8)
    if isinstance(clear, bytes):
        alpha[: len(clear), 0] = np.frombuffer(clear, np.uint8)
    else:
        alpha[int(clear)] = 0
    return np.concatenate([palette, alpha], axis=1)


def _orientation(image: Image.Image) -> tuple[Orientation, list[str]]:
    try:
        return orientation_of(image.getexif().get(ORIENTATION_TAG)), []
    except Exception as error:  # damaged EXIF data raises many kinds of errors
        reason = str(error).splitlines() or [type(error).__name__]
        return AS_STORED, [f"the EXIF data cannot be read ({reason[0]}); the image is not turned"]


def _sizes(dpi: Any) -> list[PixelSize]:
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return []
    x, y = (number(value) for value in dpi)
    return pixel_size("the file", UM_PER_INCH / y if y else None, UM_PER_INCH / x if x else None, unasked=True)
