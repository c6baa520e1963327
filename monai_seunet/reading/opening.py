"""Opening of a slide or an image by the library that reads its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from openslide import OpenSlide, OpenSlideError

from monai_seunet.reading.colours import as_rgb
from monai_seunet.reading.formats.decoded import Decoded, require_colours, unsigned
from monai_seunet.reading.formats.medical import decode_itk, decode_nifti
from monai_seunet.reading.formats.openslide import OpenSlideSlide
from monai_seunet.reading.formats.pillow import decode_picture
from monai_seunet.reading.names import SUFFIXES, TIFF_SUFFIXES, VENDOR_SUFFIXES
from monai_seunet.reading.slide import SCAN, Choice, Level, Slide, first_line
from monai_seunet.reading.tiff.slide import TiffSlide
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import suffix_of

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"\x00\x00\x00\x0cjP", b"RIFF")
OPENSLIDE, TIFF, MEMORY = "openslide", "tiff", "memory"
BAND_ROWS = 256
_BY_SUFFIX: dict[str, Callable[[Path, int | None], Decoded]] = {
    **dict.fromkeys((".nii", ".nii.gz"), decode_nifti),
    **dict.fromkeys((".nrrd", ".nhdr", ".mha", ".mhd"), decode_itk),
}


def open_slide(path: str | Path, choice: Choice = SCAN) -> Slide:
    """Open a slide or an image of any supported format.

    OpenSlide reads the formats of scanners. tifffile reads all other TIFF files, because it supports pyramids in
    sub-IFDs, the pixel sizes of OME and 16 bits. Images of all other formats are decoded into memory.

    Args:
        path: image or slide file; slides, TIFF and pictures are recognised by their content, medical formats by their
            suffix.
        choice: image and plane to read, for files that hold several.

    Raises:
        InputError: the file is missing, empty, damaged or of an unknown format.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (8, 6)).save(f"{folder}/a.png")
    ...     with open_slide(f"{folder}/a.png") as slide:
    ...         slide.read(level=0, y=2, x=0, height=4, width=8).shape
    (4, 8, 3)
    """
    path = Path(path)
    for name, value in choice._asdict().items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise InputError(f"{name} is {value!r}; give a whole number from 0")
    decoder = decoder_of(path)
    if decoder == OPENSLIDE:
        if choice != SCAN:
            raise InputError(f"{path}: series and plane cannot be chosen in a scanner's slide; its scan is read")
        return OpenSlideSlide(path)
    return TiffSlide(path, choice) if decoder == TIFF else MemorySlide(path, choice)


def decoder_of(path: Path) -> str:
    """Return `OPENSLIDE`, `TIFF` or `MEMORY` for a file, or raise an InputError if no library reads it."""
    if not path.is_file():
        raise InputError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}; give an image file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy it again")
    suffix = suffix_of(path)
    vendor = _vendor_of(path)
    if vendor not in (None, "generic-tiff"):
        return OPENSLIDE
    with open(path, "rb") as file:
        head = file.read(8)
    if vendor == "generic-tiff" or head.startswith(_TIFF):
        return TIFF
    if suffix in VENDOR_SUFFIXES:
        raise InputError(f"{path}: OpenSlide does not recognise this {suffix} slide; copy or export it again")
    if suffix in TIFF_SUFFIXES and not head.startswith(_PICTURES):
        return TIFF
    if suffix not in SUFFIXES and not head.startswith(_PICTURES):
        raise InputError(f"{path}: unknown image format; readable are {', '.join(SUFFIXES)}")
    return MEMORY


def _vendor_of(path: Path) -> str | None:
    """Return the format that OpenSlide detects in a file, or None."""
    try:
        return OpenSlide.detect_format(path)
    except OpenSlideError as error:
        raise InputError(f"{path}: {first_line(error)}; copy or export the slide again") from error


class MemorySlide(Slide):
    """An image of one level that is held in memory.

    Limits: it needs the memory of the whole image; store large images as tiled TIFF.

    Args:
        path: image file.
        choice: plane to read, if the file holds a volume.

    Raises:
        InputError: the file is damaged, or its samples cannot be converted to RGB.
    """

    def __init__(self, path: Path, choice: Choice = SCAN) -> None:
        decoded = decode(path, choice)
        colours = require_colours(decoded, path)
        samples = unsigned(decoded.samples)
        colours = colours.with_ranges(partial(_bands, samples))
        if colours.alpha and samples[:, :, -1].min() >= (colours.opaque or colours.whole).high:
            samples, colours = samples[:, :, :-1], colours._replace(alpha="")  # every pixel is opaque
        self._choice = choice
        self._pixels = as_rgb(samples, colours)
        height, width = self._pixels.shape[:2]
        super().__init__(
            path,
            [Level(height, width, 1.0)],
            sizes=decoded.sizes,
            vendor=suffix_of(path).lstrip("."),
            notes=(*decoded.notes, *colours.notes),
            colours=colours,
            orientation=decoded.orientation,
        )

    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        return self._pixels[y : y + height, x : x + width]

    def for_thread(self) -> MemorySlide:
        """Return this slide: all threads can share pixels in memory."""
        return self

    def close(self) -> None:
        """Do nothing: the file is closed already."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self._choice)


def _bands(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Yield bands of rows that overlap by one row, because `range_of_grey` compares 2 x 2 pixels."""
    for top in range(0, len(samples), BAND_ROWS):
        yield samples[top : top + BAND_ROWS + 1]


def decode(path: Path, choice: Choice = SCAN) -> Decoded:
    """Decode a picture or one plane of a medical format, or raise an InputError if the file lacks it or is damaged."""
    if choice.series:
        raise InputError(f"{path}: series is {choice.series}; the file holds one image: give 0 or none")
    decode_volume = _BY_SUFFIX.get(suffix_of(path))
    if decode_volume is None and choice.plane:
        raise InputError(f"{path}: plane is {choice.plane}; a picture has one: give 0 or none")
    try:
        decoded = decode_volume(path, choice.plane) if decode_volume else decode_picture(path)
    except InputError:
        raise
    except Exception as error:  # each library raises different errors for a damaged file
        reason = first_line(error).replace(f" {str(path)!r}", "")  # Pillow repeats the path
        raise InputError(f"{path}: cannot be read as an image ({reason}); copy or export it again") from error
    if 0 in decoded.samples.shape:
        raise InputError(f"{path}: the image has no pixels; export it again")
    return decoded
