"""From a file to the slide that it holds."""

from __future__ import annotations

from pathlib import Path

from monai_seunet.reading.formats.memory import MemorySlide
from monai_seunet.reading.formats.openslide import OpenSlideSlide, detect_vendor
from monai_seunet.reading.names import SUFFIXES, TIFF_SUFFIXES, VENDOR_SUFFIXES
from monai_seunet.reading.slide import SCAN, Choice, Slide
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
    vendor = detect_vendor(path)
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
