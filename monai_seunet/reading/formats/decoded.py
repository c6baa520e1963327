"""The result of decoders of whole files, and the choice of a plane in a volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_seunet.reading.colours import Colours
from monai_seunet.reading.pixel_size import PixelSize
from monai_seunet.reading.slide import AS_STORED, Orientation, SkippedNote
from monai_seunet.utils.errors import InputError

LARGEST = np.iinfo(np.uint16).max


class Decoded(NamedTuple):
    """One stored plane of a file.

    Attributes:
        samples: stored samples (H, W, C).
        colours: colour encoding; None for samples that are not colours, such as floating-point numbers.
        sizes: pixel sizes in µm that the file states.
        orientation: transformation from the stored to the upright image.
        notes: messages for users about choices and guesses.
    """

    samples: np.ndarray
    colours: Colours | None
    sizes: Sequence[PixelSize] = ()
    orientation: Orientation = AS_STORED
    notes: Sequence[str] = ()


def choose_plane(path: Path, count: int, wanted: int | None, axis: str) -> tuple[int, list[str]]:
    """Return the index of the requested plane, or of the middle of a focus stack, or of the first plane.

    Args:
        path: file name for messages.
        count: number of planes.
        wanted: requested index from 0; None without a request.
        axis: `Z` for focus, or another axis letter of tifffile.

    Returns:
        the index, and a note if other planes are skipped.

    Raises:
        InputError: the requested plane does not exist.
    """
    if wanted is not None and not 0 <= wanted < count:
        raise InputError(f"{path}: plane is {wanted}; the image has {count}: give a number from 0 to {count - 1}")
    plane = wanted if wanted is not None else count // 2 if axis == "Z" else 0
    if count == 1:
        return plane, []
    return plane, [SkippedNote(f"plane {plane} of {count} (axis {axis}); plane chooses another")]


def colours_of(samples: np.ndarray) -> Colours | None:
    """Derive the colour encoding of samples (H, W, C): one channel is grey, three of 8 or 16 bits are RGB."""
    kind = {1: "grey", 3: "RGB"}.get(samples.shape[2])
    if kind is None or samples.dtype.kind not in "bui":
        return None
    if samples.dtype.kind == "b":
        return Colours(kind, 1)
    if samples.dtype == np.uint8:
        return Colours(kind)
    return Colours(kind, 16) if samples.size and samples.min() >= 0 and samples.max() <= LARGEST else None


def unsigned(samples: np.ndarray) -> np.ndarray:
    """Convert whole numbers from 0 to 65535 to bool, uint8 or uint16 for `as_rgb`."""
    return samples if samples.dtype in (np.bool_, np.uint8, np.uint16) else samples.astype(np.uint16)


def require_colours(decoded: Decoded, path: Path) -> Colours:
    """Return the colour encoding of a decoded plane, or raise an InputError if its samples are not colours."""
    if decoded.colours is None:
        raise InputError(
            f"{path}: {decoded.samples.dtype} samples in {decoded.samples.shape[2]} channel(s) are no colours; export "
            f"the image as grey or RGB with 8 or 16 bits a channel"
        )
    return decoded.colours
