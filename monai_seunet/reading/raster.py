"""Functions that read a whole image, label or map as one array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_seunet.reading.colours import GREY_NOTE, luma
from monai_seunet.reading.formats.decoded import unsigned
from monai_seunet.reading.opening import MEMORY, OPENSLIDE, decode, decoder_of, open_slide
from monai_seunet.reading.pixel_size import agree_on_size
from monai_seunet.reading.slide import SCAN, Choice, SkippedNote
from monai_seunet.reading.tiff.slide import decode_tiff
from monai_seunet.utils.errors import InputError

MOST_PIXELS = 2**30  # largest image that is read as one array: 3 GiB of RGB


class Raster(NamedTuple):
    """One image as an array.

    Attributes:
        pixels: array (H, W) or (H, W, C).
        pixel_size: µm per pixel (y, x); None if the file does not state it.
        notes: messages for users about choices, guesses and conversions.
    """

    pixels: np.ndarray
    pixel_size: tuple[float, float] | None = None
    notes: Sequence[str] = ()

    @property
    def mpp(self) -> float | None:
        """µm per pixel; for pixels that are not square, the geometric mean of both sides."""
        return math.sqrt(math.prod(self.pixel_size)) if self.pixel_size else None


def read_image(path: str | Path, channels: int | None = None, choice: Choice = SCAN, keep_deep: bool = False) -> Raster:
    """Read an upright image as RGB or grey of 8 bits, on a white background.

    Invariant: the pixels and sizes are equal to those that `open_slide` returns for regions.

    Args:
        path: image or slide file.
        channels: 3 for (H, W, 3), 1 for (H, W); None returns (H, W) for grey files and (H, W, 3) for all others.
        choice: image and plane to read, for files that hold several.
        keep_deep: return grey of more than 8 bits as stored uint16. Use it for a file that this function reads
            again later: the later call then determines the same range of values.

    Raises:
        InputError: the file is missing, damaged, too large, of an unknown format or not an image in colour or grey.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (8, 6), "red").save(f"{folder}/a.png")
    ...     read_image(f"{folder}/a.png").pixels[0, 0]
    array([255,   0,   0], dtype=uint8)
    """
    with open_slide(path, choice) as slide:
        if slide.height * slide.width > MOST_PIXELS:
            raise InputError(
                f"{path}: {slide.width} x {slide.height} pixels are too many to be read at once; use monai-seunet "
                "segment, which reads a slide in parts"
            )
        colours = slide.colours
        if keep_deep and channels != 3 and (colours.kind, colours.bits, colours.alpha) == ("grey", 16, ""):
            raster = read_raster(path, choice)
            grey = raster.pixels if raster.pixels.ndim == 2 else raster.pixels[:, :, 0]
            return raster._replace(pixels=np.ascontiguousarray(unsigned(grey)))
        pixels = slide.read(level=0, y=0, x=0, height=slide.height, width=slide.width)
        notes = list(slide.notes)
        as_grey = slide.is_grey if channels is None else channels == 1
        if as_grey and not slide.is_grey:
            notes.append("colours converted to grey")
        elif as_grey:
            notes = [note for note in notes if note != GREY_NOTE]
        return Raster(luma(pixels) if as_grey else pixels, slide.mpp, notes)


def read_raster(path: str | Path, choice: Choice = SCAN) -> Raster:
    """Read the stored samples of a file in upright orientation, for labels and maps.

    A palette image returns its indices, alpha is one more channel, and a scanner's slide returns RGB.

    Args:
        path: image, label or map file.
        choice: image and plane to read, for files that hold several.

    Raises:
        InputError: the file is missing, damaged or of an unknown format.
    """
    path = Path(path)
    decoder = decoder_of(path)
    if decoder == OPENSLIDE:
        return read_image(path, 3, choice)
    decoded = decode(path, choice) if decoder == MEMORY else decode_tiff(path, choice)
    stored_size, size_notes = agree_on_size(decoded.sizes)
    pixel_size = decoded.orientation.shown_size(*stored_size) if stored_size else None
    samples = decoded.orientation.show(decoded.samples)
    notes = [*decoded.notes, *size_notes]
    if samples.dtype == bool:
        samples = samples.astype(np.uint8)
    return Raster(np.ascontiguousarray(samples[:, :, 0] if samples.shape[2] == 1 else samples), pixel_size, notes)


def read_label(path: str | Path, choice: Choice = SCAN) -> np.ndarray:
    """Read a label image as (H, W) whole numbers: class numbers, object numbers, or 0 and 255.

    Three equal channels count as one, and an alpha channel is ignored.

    Raises:
        InputError: an error of `read_raster`, a label in colours, numbers that are not whole, or several images or
            planes although `choice` selects none of them.
    """
    pixels, _, notes = read_raster(path, choice)
    skipped = [note for note in notes if isinstance(note, SkippedNote)]
    if skipped and choice == SCAN:
        raise InputError(f"{path}: a label of several images or planes ({skipped[0]}); save one")
    if pixels.ndim == 3:
        channels = pixels[:, :, : {2: 1, 4: 3}.get(pixels.shape[2], pixels.shape[2])]
        if channels.shape[2] > 3 or (channels != channels[:, :, :1]).any():
            raise InputError(f"{path}: a mask in colours; save it with one channel of class or object numbers")
        pixels = np.ascontiguousarray(channels[:, :, 0])
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all() or (pixels != np.round(pixels)).any() or np.abs(pixels).max(initial=0) > 2**31:
            raise InputError(f"{path}: a label holds whole numbers; got {pixels.min():g} to {pixels.max():g}")
        pixels = pixels.astype(np.int64)
    return pixels
