"""Slides in plain, pyramidal and OME-TIFF files; a region reads only the tiles or strips that it needs."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from tifffile import PHOTOMETRIC

from monai_seunet.reading.colours import Colours
from monai_seunet.reading.formats.decoded import Decoded
from monai_seunet.reading.slide import SCAN, Choice, Slide, first_line, pyramid_level
from monai_seunet.reading.tiff.choice import Scan, choose_scan
from monai_seunet.reading.tiff.level import TiffLevel, shows_the_same
from monai_seunet.reading.tiff.pixel_size import tiff_objective_power, tiff_pixel_sizes
from monai_seunet.utils.errors import InputError

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # our notes replace the warnings of tifffile


class TiffSlide(Slide):
    """The scan of a TIFF file with all its levels, stored in sub-IFDs or in separate pages.

    Limits: only one plane is read. The range of values with more than 8 bits is estimated from a part of a large image.

    Args:
        path: TIFF file.
        choice: image and plane to read.
        colours: colour encoding with its range of values; None determines it from the file.
        levels: sizes (height, width) of the coarser levels that show the scan; None determines them from the pixels.

    Raises:
        InputError: the file is damaged or truncated, or lacks the chosen image.
    """

    def __init__(
        self,
        path: Path,
        choice: Choice = SCAN,
        colours: Colours | None = None,
        levels: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self._tiff = open_tiff(path)
        try:
            with damage_named(path):
                scan = choose_scan(self._tiff, path, choice)
                self._images = [TiffLevel(pages, path) for pages in scan.levels]
                finest = self._images[0]
                if colours is None:
                    finest.look_up_ranges(scan.ome.significant_bits)
                for image in self._images:  # a stored value must have the same brightness in all levels
                    image.colours = colours or finest.colours
                level_notes = self._drop_other_images(levels)
                sizes = tiff_pixel_sizes(self._tiff, scan.page, scan.ome)
                power = tiff_objective_power(scan.page, scan.ome)
        except InputError:
            self.close()
            raise
        self._choice = choice
        super().__init__(
            path,
            [pyramid_level((finest.height, finest.width), (image.height, image.width)) for image in self._images],
            sizes=sizes,
            objective_power=power,
            vendor="ome-tiff" if self._tiff.is_ome else "tiff",
            notes=(*scan.notes, *level_notes, *finest.colours.notes),
            colours=finest.colours,
            orientation=scan.orientation,
        )

    def _drop_other_images(self, sizes: Sequence[tuple[int, int]] | None) -> list[str]:
        """Remove pages that have the shape of a level but show something else; return a note about them."""
        finest, *coarser = self._images
        if sizes is None:
            kept = [image for image in coarser if image.is_declared or shows_the_same(finest, image)]
        else:
            kept = [image for image in coarser if (image.height, image.width) in sizes]
        removed = [f"{image.width} x {image.height}" for image in coarser if image not in kept]
        self._images = [finest, *kept]
        return [f"left out, since they are no levels of the scan: {', '.join(removed)}"] if removed else []

    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        return self._images[level].read(y, x, height, width)

    def __reduce__(self) -> tuple[Any, ...]:
        levels = [(image.height, image.width) for image in self._images]  # a copy needs not analyse the file again
        return type(self), (self.path, self._choice, self._images[0].colours, levels)

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()


def open_tiff(path: Path) -> tifffile.TiffFile:
    """Open a TIFF file without the further files that its OME XML names, or raise an InputError if it is cut off."""
    try:
        tiff = tifffile.TiffFile(path, _multifile=False)
    except Exception as error:
        raise InputError(f"{path}: cannot be read as a TIFF file ({first_line(error)}); copy it again") from error
    try:
        with damage_named(path):
            _require_all_pages(tiff, path)
    except InputError:
        tiff.close()
        raise
    return tiff


def _require_all_pages(tiff: tifffile.TiffFile, path: Path) -> None:
    """Raise an error if the list of pages ends outside the file: tifffile would silently drop pages."""
    layout, pages, file = tiff.tiff, tiff.pages, tiff.filehandle
    if not len(pages):
        raise InputError(f"{path}: the TIFF file holds no image, or was cut off; copy it again")
    last = pages[len(pages) - 1].offset
    file.seek(last)
    tags = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))[0]
    file.seek(last + layout.tagnosize + tags * layout.tagsize)
    following = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))[0]
    if following:
        raise InputError(
            f"{path}: page {len(pages)} of the TIFF file should lie at byte {following}, and does not; the file was "
            "cut off or is damaged: copy it again"
        )


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Convert an error of a decoder to an `InputError` that names the file."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: a damaged TIFF file ({first_line(error)}); copy or export it again") from error


def decode_tiff(path: Path, choice: Choice) -> Decoded:
    """Decode the stored samples of the finest level, of any type.

    Raises:
        InputError: the file is damaged or truncated, or lacks the chosen image.
    """
    with open_tiff(path) as tiff, damage_named(path):
        scan = choose_scan(tiff, path, choice, any_channels=True)
        samples = np.concatenate([_samples(page, scan) for page in scan.levels[0]], axis=2)
        if 0 in samples.shape:
            raise InputError(f"{path}: the image has no pixels; export it again")
        sizes = tiff_pixel_sizes(tiff, scan.page, scan.ome)
        return Decoded(samples, None, sizes, scan.orientation, scan.notes)


def _samples(page: Any, scan: Scan) -> np.ndarray:
    """Return the samples (H, W, C) of a page."""
    key = scan.page
    samples = page.asarray()
    if samples.dtype == bool and key.photometric == PHOTOMETRIC.MINISWHITE:
        samples = ~samples  # viewers show the white pixels of a binary mask as the object
    samples = samples.reshape(
        (key.samplesperpixel, key.imagelength, key.imagewidth)
        if key.planarconfig == 2
        else (key.imagelength, key.imagewidth, key.samplesperpixel)
    )
    return np.moveaxis(samples, 0, 2) if key.planarconfig == 2 else samples
