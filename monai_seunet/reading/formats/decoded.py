"""What a decoder of whole files gives, and which plane of a volume is meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_seunet.reading.colours import SAMPLES, Colours
from monai_seunet.reading.pixel_size import PixelSize
from monai_seunet.reading.slide import AS_STORED, Orientation, SkippedNote
from monai_seunet.utils.errors import InputError

LARGEST = np.iinfo(np.uint16).max


class Decoded(NamedTuple):
    """One plane of a file as it is stored.

    Attributes:
        samples: (H, W, C).
        colours: what they mean; None where they are no colours, such as floating-point numbers or four channels.
        sizes: what the file says about µm per stored pixel.
        orientation: how it is turned to be seen.
        notes: what was chosen or guessed, for people.
    """

    samples: np.ndarray
    colours: Colours | None
    sizes: Sequence[PixelSize] = ()
    orientation: Orientation = AS_STORED
    notes: Sequence[str] = ()


def choose_plane(path: Path, count: int, wanted: int | None, axis: str) -> tuple[int, list[str]]:
    """Which of several planes is read: the one that is asked for, else the middle of a focus stack or the first.

    Args:
        path: for messages.
        count: of the planes.
        wanted: number from 0; None where nobody asks.
        axis: `Z` for focus; any other letter of tifffile.

    Returns:
        its number, and a note where others are left out.

    Raises:
        InputError: for a plane that is not there.
    """
    if wanted is not None and not 0 <= wanted < count:
        raise InputError(f"{path}: plane is {wanted}; the image has {count}: give a number from 0 to {count - 1}")
    plane = wanted if wanted is not None else count // 2 if axis == "Z" else 0
    if count == 1:
        return plane, []
    return plane, [SkippedNote(f"plane {plane} of {count} (axis {axis}); plane chooses another")]


def colours_of(samples: np.ndarray) -> Colours | None:
    """What samples (H, W, C) of a format without a statement mean: one channel is grey, three of 8 or 16 bits RGB."""
    kind = {1: "grey", 3: "RGB"}.get(samples.shape[2])
    if kind is None or samples.dtype.kind not in "bui":
        return None
    if samples.dtype.kind == "b":
        return Colours(kind, 1)
    if samples.dtype == np.uint8:
        return Colours(kind)
    return Colours(kind, 16) if samples.size and samples.min() >= 0 and samples.max() <= LARGEST else None


def unsigned(samples: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 to 65535 of any type as bool, uint8 or uint16, for `as_rgb`."""
    return samples if samples.dtype in (np.bool_, np.uint8, np.uint16) else samples.astype(np.uint16)


def require_colours(decoded: Decoded, path: Path) -> Colours:
    """What the samples mean.

    Raises:
        InputError: where they are no colours.
    """
    if decoded.colours is None:
        raise InputError(
            f"{path}: {decoded.samples.dtype} samples in {decoded.samples.shape[2]} channel(s) are no colours; export "
            f"the image as grey or RGB with 8 or 16 bits a channel"
        )
    assert decoded.colours.kind in SAMPLES
    return decoded.colours
