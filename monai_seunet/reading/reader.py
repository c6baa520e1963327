"""The image reader that the configs give to MONAI's `LoadImage(d)`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import ensure_tuple

from monai_seunet.reading.names import is_image_name
from monai_seunet.reading.raster import Raster, read_image, read_label
from monai_seunet.reading.slide import Choice
from monai_seunet.utils.errors import InputError


class HistologyReader(ImageReader):
    """Image reader for MONAI's `LoadImage(d)` that returns rows first and stores µm per pixel in the affine.

    Invariant: for every format, axis 0 is the row and axis 1 the column: (H, W) for one channel, (H, W, C) for several.
    `read_image` reads images and `read_label` reads labels. A warning names every guess and every conversion.
    The affine is `diag(y, x, 1, 1)` in µm. If the pixel size is unknown, the affine is the unit matrix and `meta` has
    no key `mpp`, because a data loader cannot collate None.

    Args:
        mpp: µm per pixel of all images, which replaces the value in the files; None takes it from each file.
        channels: 3 for RGB or 1 for grey, whatever the file has; None leaves a grey image grey.
        labels: whether the files are labels, whose numbers are kept unchanged.
        series: index of the image in files that hold several; None selects the scan.
        plane: index of the plane in a volume; None selects the middle of a focus stack.
        quiet: whether warnings are suppressed, for prepared data sets: `prepare` has already reported them.

    Raises:
        ValueError: mpp is not above 0, or channels is neither 1, 3 nor None.
    """

    def __init__(
        self,
        mpp: float | None = None,
        channels: int | None = None,
        labels: bool = False,
        series: int | None = None,
        plane: int | None = None,
        quiet: bool = False,
    ) -> None:
        super().__init__()
        if mpp is not None and not mpp > 0:
            raise ValueError(f"mpp is {mpp}; it must be µm per pixel, above 0, or None")
        if channels not in (None, 1, 3):
            raise ValueError(f"channels is {channels}; choose 3 for RGB, 1 for grey, or None")
        self.mpp, self.channels, self.labels, self.quiet = mpp, channels, labels, quiet
        self.choice = Choice(series, plane)

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Return whether this reader supports the suffixes of all files."""
        return all(is_image_name(Path(name)) for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[Path]:
        """Return the file paths; `get_data` opens them.

        After an error in `read`, `LoadImage` would try MONAI's other readers, which swap rows and columns.
        """
        return [Path(name) for name in ensure_tuple(data)]

    def get_data(self, img: Sequence[Path]) -> tuple[np.ndarray, dict[str, Any]]:
        """Decode one file, or several files of equal size whose channels are stacked.

        Returns:
            pixels (H, W) or (H, W, C), and the keys affine, spatial_shape, original_channel_dim and, if known, mpp.

        Raises:
            InputError: a file is missing, damaged or of an unknown format, or the files differ in size.
        """
        rasters = [self._read(path) for path in img]
        if len({raster.pixels.shape[:2] for raster in rasters}) > 1:
            raise InputError(f"{img[0]} and {img[-1]} differ in size; channels of one image must have the same size")
        pixels = rasters[0].pixels if len(rasters) == 1 else np.dstack([raster.pixels for raster in rasters])
        size, mpp = rasters[0].pixel_size, rasters[0].mpp
        if self.mpp is not None:
            size, mpp = (self.mpp, self.mpp), self.mpp
        meta: dict[str, Any] = {
            "affine": np.diag([*(size or (1.0, 1.0)), 1.0, 1.0]),
            "spatial_shape": np.asarray(pixels.shape[:2]),
            "original_channel_dim": "no_channel" if pixels.ndim == 2 else -1,
        }
        return pixels, meta if mpp is None else {**meta, "mpp": float(mpp)}

    def _read(self, path: Path) -> Raster:
        if self.labels:
            return Raster(read_label(path, self.choice))
        raster = read_image(path, self.channels, self.choice)
        if raster.notes and not self.quiet:
            warnings.warn(f"{path}: {'; '.join(raster.notes)}", UserWarning, stacklevel=2)
        return raster
