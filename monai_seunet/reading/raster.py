"""Whole images, labels and maps as arrays."""

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
from monai_seunet.reading.tiff.slide import read_stored_tiff
from monai_seunet.utils.errors import InputError

MOST_PIXELS = 2**30  # of an image that is read as one array: 3 GiB as RGB


class Raster(NamedTuple):
    """One image as an array.

    Attributes:
        pixels: (H, W) or (H, W, C).
        pixel_size: µm per pixel (y, x); None where the file does not say.
        notes: what was chosen, guessed or changed on reading, for people.
    """

    pixels: np.ndarray
    pixel_size: tuple[float, float] | None = None
    notes: Sequence[str] = ()

    @property
    def mpp(self) -> float | None:
        """µm per pixel; where pixels are not square, that of a square of the same area."""
        return math.sqrt(math.prod(self.pixel_size)) if self.pixel_size else None


def read_image(path: str | Path, channels: int | None = None, choice: Choice = SCAN, keep_deep: bool = False) -> Raster:
    """Read an image as people see it: upright, RGB or grey of 8 bits, on white.

    Invariant: the same pixels and sizes as `open_slide` gives in parts.

    Args:
        path: the file.
        channels: 3 for (H, W, 3), 1 for (H, W); None for (H, W) where the file has no colours, else (H, W, 3).
        choice: which image of a file with several is meant.
        keep_deep: grey of more than 8 bits comes as it is stored, uint16: for files that are read again by this
            function, which then looks up the same range.

    Raises:
        InputError: for a file that is missing, damaged, of an unknown format, without colours or too large.
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
        pixels = slide.read(0, 0, 0, slide.height, slide.width)
        notes = list(slide.notes)
        as_grey = slide.is_grey if channels is None else channels == 1
        if as_grey and not slide.is_grey:
            notes.append("colours brought to brightness")
        elif as_grey:
            notes = [note for note in notes if note != GREY_NOTE]
        return Raster(luma(pixels) if as_grey else pixels, slide.mpp, notes)


def read_raster(path: str | Path, choice: Choice = SCAN) -> Raster:
    """Read the samples of a file as they are stored, but upright: for labels and maps, whose numbers have a meaning.

    A palette gives its indices; a further sample for alpha comes as a channel; a scanner's slide comes as RGB.

    Args:
        path: the file.
        choice: which image of a file with several is meant.

    Raises:
        InputError: for a file that is missing, damaged or of an unknown format.
    """
    path = Path(path)
    decoder = decoder_of(path)
    if decoder == OPENSLIDE:
        return read_image(path, 3, choice)
    if decoder == MEMORY:
        decoded = decode(path, choice)
        mpp, on_size = agree_on_size(decoded.sizes)
        turned = decoded.orientation.shown_size(*mpp) if mpp else None
        samples, notes = decoded.orientation.show(decoded.samples), [*decoded.notes, *on_size]
    else:
        samples, turned, notes = read_stored_tiff(path, choice)
    if samples.dtype == bool:
        samples = samples.astype(np.uint8)
    return Raster(np.ascontiguousarray(samples[:, :, 0] if samples.shape[2] == 1 else samples), turned, notes)


def read_label(path: str | Path, choice: Choice = SCAN) -> np.ndarray:
    """Read a label image, (H, W) whole numbers as they are stored: classes, objects, or 0 and 255.

    Three equal channels are one; an alpha channel says nothing.

    Raises:
        InputError: as `read_raster`, for colours or numbers that are not whole, and for several images or planes of
            which `choice` names none: one of them would be lost.
    """
    pixels, _, notes = read_raster(path, choice)
    several = [note for note in notes if isinstance(note, SkippedNote)]
    if several and choice == SCAN:
        raise InputError(f"{path}: a label of several images or planes ({several[0]}); save one")
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
