"""Plain, pyramidal and OME-TIFF, of which only the tiles or strips that a region needs are read."""

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
from monai_seunet.reading.pixel_size import agree_on_size
from monai_seunet.reading.slide import SCAN, Choice, Slide, first_line, orientation_of, pyramid_level
from monai_seunet.reading.tiff.choice import Scan, choose_scan
from monai_seunet.reading.tiff.level import TiffLevel, shows_the_same
from monai_seunet.reading.tiff.pixel_size import tiff_objective_power, tiff_pixel_sizes
from monai_seunet.utils.errors import InputError

ORIENTATION_TAG = 274

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else its warnings go to the screen: we say our own


class TiffSlide(Slide):
    """The scan of a TIFF file with all its levels, in sub-IFDs or in pages of their own.

    Limits: one plane. Of more than 8 bits, grey is shown from the darkest to the brightest value that is found in a
    part of a large image, and RGB by the bits that its values need.

    Args:
        path: the file.
        choice: which of its images and planes is read.
        colours: what the samples mean, with the values that become 0 and 255, where they are known; else looked up.
        levels: sizes of the levels that were found to show the scan, where they are known; else looked up.

    Raises:
        InputError: for a file that is damaged or not whole, or holds no such image.
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
                for image in self._images:  # the same value is as bright on all levels
                    image.colours = colours or finest.colours
                others = self._drop_other_pictures(levels)
                sizes = tiff_pixel_sizes(self._tiff, scan.page, scan.ome)
                power = tiff_objective_power(scan.page, scan.ome)
                orientation = orientation_of(tag_of(scan.page, ORIENTATION_TAG))
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
            notes=(*scan.notes, *others, *finest.colours.notes),
            colours=finest.colours,
            orientation=orientation,
        )

    def _drop_other_pictures(self, known: Sequence[tuple[int, int]] | None) -> list[str]:
        """Leave out pages of the scan's shape that show something else; returns a note on them."""
        finest, *coarser = self._images
        if known is None:
            shown = [image for image in coarser if image.is_declared or shows_the_same(finest, image)]
        else:
            shown = [image for image in coarser if (image.height, image.width) in known]
        others = [f"{image.width} x {image.height}" for image in coarser if image not in shown]
        self._images = [finest, *shown]
        return [f"left out, since they are no levels of the scan: {', '.join(others)}"] if others else []

    @property
    def _state(self) -> tuple[Any, ...]:
        """What a copy need not look up again."""
        return self._choice, self._images[0].colours, [(image.height, image.width) for image in self._images]

    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        return self._images[level].read(y, x, height, width)

    def for_thread(self) -> TiffSlide:
        """The same slide for another thread, which closes it."""
        return TiffSlide(self.path, *self._state)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, *self._state)

    def close(self) -> None:
        """Give the file back."""
        self._tiff.close()


def open_tiff(path: Path) -> tifffile.TiffFile:
    """Open a TIFF file; further files that its OME names are left alone.

    Raises:
        InputError: for what is none.
    """
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
    """Refuse a file whose list of pages leads out of it: tifffile reads on without them, and one may be the scan."""
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
    """What a decoder says of a damaged file, as an error that names it."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: a damaged TIFF file ({first_line(error)}); copy or export it again") from error


def tag_of(page: Any, code: int) -> Any:
    """The value of a tag; None where there is none."""
    return getattr(page.tags.get(code), "value", None)


def read_stored_tiff(path: Path, choice: Choice) -> tuple[np.ndarray, tuple[float, float] | None, list[str]]:
    """The samples of the finest level as they are stored, of any type, turned as people see them.

    Returns:
        (H, W, C), µm per pixel (y, x), and notes.

    Raises:
        InputError: as `TiffSlide`, but for what the samples mean.
    """
    with open_tiff(path) as tiff, damage_named(path):
        scan = choose_scan(tiff, path, choice, any_channels=True)
        samples = np.concatenate([_samples(page, scan, path) for page in scan.levels[0]], axis=2)
        if 0 in samples.shape:
            raise InputError(f"{path}: the image has no pixels; export it again")
        orientation = orientation_of(tag_of(scan.page, ORIENTATION_TAG))
        mpp, on_size = agree_on_size(tiff_pixel_sizes(tiff, scan.page, scan.ome))
        turned = orientation.shown_size(*mpp) if mpp else None
        return orientation.show(samples), turned, [*scan.notes, *on_size]


def _samples(page: Any, scan: Scan, path: Path) -> np.ndarray:
    """(H, W, C) of a page."""
    key = scan.page
    samples = page.asarray()
    if samples.dtype == bool and key.photometric == PHOTOMETRIC.MINISWHITE:
        samples = ~samples  # a mask of one bit is what viewers show, whichever of its values is white
    samples = samples.reshape(
        (key.samplesperpixel, key.imagelength, key.imagewidth)
        if key.planarconfig == 2
        else (key.imagelength, key.imagewidth, key.samplesperpixel)
    )
    return np.moveaxis(samples, 0, 2) if key.planarconfig == 2 else samples
