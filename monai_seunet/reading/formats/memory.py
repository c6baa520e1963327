"""Images without levels, held in memory: pictures and the formats of medicine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from monai_seunet.reading.colours import as_rgb
from monai_seunet.reading.formats.decoded import Decoded, require_colours, unsigned
from monai_seunet.reading.formats.medical import decode_itk, decode_nifti
from monai_seunet.reading.formats.pillow import decode_picture
from monai_seunet.reading.slide import SCAN, Choice, Level, Slide, first_line
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import suffix_of

BAND = 256  # rows
_MEDICAL: dict[str, Callable[[Path, int | None], Decoded]] = {
    **dict.fromkeys((".nii", ".nii.gz"), decode_nifti),
    **dict.fromkeys((".nrrd", ".nhdr", ".mha", ".mhd"), decode_itk),
}


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
