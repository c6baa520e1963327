"""From a file to the slide that it holds."""

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


def open_slide(path: str | Path, choice: Choice = SCAN) -> Slide:
    """Open a slide or an image of any format that can be read.

    OpenSlide opens the formats of scanners. Other TIFF files, also tiled ones that OpenSlide would open as generic, go
    through tifffile, which knows pyramids in sub-IFDs, OME's sizes and 16 bits. All other formats are held in memory.

    Args:
        path: the file. What it holds decides, above what its suffix says.
        choice: which image of a file with several is meant.

    Raises:
        InputError: for a file that is missing, empty, damaged or of an unknown format.
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
    """Which library reads a file: `OPENSLIDE`, `TIFF` or `MEMORY`.

    Raises:
        InputError: for a file that is missing, empty or of an unknown format.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: {'a folder' if path.is_dir() else 'no such file'}; give the file of an image or slide"
        )
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
        raise InputError(f"{path}: no {suffix} slide that OpenSlide knows, or a damaged one; copy or export it again")
    if suffix in TIFF_SUFFIXES and not head.startswith(_PICTURES):
        return TIFF
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown image format; readable are {', '.join(SUFFIXES)}")
    return MEMORY


BAND = 256  # rows
_MEDICAL: dict[str, Callable[[Path, int | None], Decoded]] = {
    **dict.fromkeys((".nii", ".nii.gz"), decode_nifti),
    **dict.fromkeys((".nrrd", ".nhdr", ".mha", ".mhd"), decode_itk),
}


def _vendor_of(path: Path) -> str | None:
    """Which format OpenSlide takes a file for; None where it knows none."""
    try:
        return OpenSlide.detect_format(path)
    except OpenSlideError as error:
        raise InputError(f"{path}: {first_line(error)}; copy or export the slide again") from error


class MemorySlide(Slide):
    """An image of one level.

    Limits: needs the memory of the whole image; larger ones belong into a tiled TIFF.

    Args:
        path: the file.
        choice: of the plane, where the file holds a volume.

    Raises:
        InputError: for a file that is damaged, or whose pixels are no colours.
    """

    def __init__(self, path: Path, choice: Choice = SCAN) -> None:
        decoded = decode(path, choice)
        colours = require_colours(decoded, path)
        samples = unsigned(decoded.samples)
        colours = colours.with_ranges(partial(_bands, samples))
        if colours.alpha and samples[:, :, -1].min() >= (colours.opaque or colours.whole).high:
            samples, colours = samples[:, :, :-1], colours._replace(alpha="")  # all of it is opaque
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
        """The same: pixels in memory serve all threads."""
        return self

    def close(self) -> None:
        """Nothing is open: the pixels are in memory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self._choice)


def _bands(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of an image in parts, each with the first row of the next one: squares of pixels are looked at."""
    for top in range(0, len(samples), BAND):
        yield samples[top : top + BAND + 1]


def decode(path: Path, choice: Choice = SCAN) -> Decoded:
    """Read a picture, or a plane of a medical format, as it is stored.

    Raises:
        InputError: for a file that is damaged, or a choice that it does not have.
    """
    if choice.series:
        raise InputError(f"{path}: series is {choice.series}; the file holds one image: give 0 or none")
    read = _MEDICAL.get(suffix_of(path))
    if read is None and choice.plane:
        raise InputError(f"{path}: plane is {choice.plane}; a picture has one: give 0 or none")
    try:
        decoded = read(path, choice.plane) if read else decode_picture(path)
    except InputError:
        raise
    except Exception as error:  # each library has its own errors for a damaged file
        raise InputError(f"{path}: cannot be read as an image ({first_line(error)})") from error
    if 0 in decoded.samples.shape:
        raise InputError(f"{path}: the image has no pixels; export it again")
    return decoded
