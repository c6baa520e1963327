"""Optical density of haematoxylin of the windows of a slide, kept on the disk until nuclei are measured."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monai_seunet.slides.inference.windows import Window, WindowGrid
from monai_seunet.slides.nuclei.areas import DENSITY_UNIT
from monai_seunet.transforms.stain.haematoxylin import STAINS

if TYPE_CHECKING:
    import zarr

_STAINS = STAINS.numpy()
_OVERLAP = float(_STAINS[0] @ _STAINS[1])
_OPTICAL = -np.log10(np.maximum(np.arange(256), 1) / 255).astype(np.float32)  # optical density of each value


def haematoxylin_density(pixels: np.ndarray) -> np.ndarray:
    """Return the optical density of haematoxylin (H, W) uint8, in units of 1 / `DENSITY_UNIT`.

    The colours of haematoxylin and eosin are the same for all slides, so slides can be compared, and densities are to
    base 10, as in QuPath. These are the values of `HaematoxylinDensity` divided by ln 10.
    Invariant: each pixel is converted independently, to the same bits in any window.

    Args:
        pixels: pixels (H, W, 3) uint8.

    References:
        Ruifrok & Johnston, Quantification of histochemical staining by color deconvolution, 2001, for the colours.

    >>> haematoxylin_density(np.full((1, 2, 3), 255, np.uint8)).tolist()
    [[0, 0]]
    """
    red, green, blue = (_OPTICAL[pixels[..., channel]] for channel in range(3))
    haematoxylin, eosin = (
        red * np.float32(stain[0]) + green * np.float32(stain[1]) + blue * np.float32(stain[2]) for stain in _STAINS
    )
    # A negative amount of eosin counts as none, as in `transforms.stain.functional.concentrations`.
    free = np.maximum((eosin - np.float32(_OVERLAP) * haematoxylin) / np.float32(1 - _OVERLAP**2), 0)
    amount = haematoxylin - np.float32(_OVERLAP) * free
    return np.clip(np.rint(amount * DENSITY_UNIT), 0, 255).astype(np.uint8)


class DensityMap:
    """Density of haematoxylin (H, W) uint8 in the windows of a slide, 0 elsewhere.

    Invariant: the map depends only on the slide and the planned windows. A window is stored before the network sees
    it, so an interrupted run goes on with the same map.
    Disk: about half a byte for each pixel of the windows, until the slide is done.

    Args:
        path: path of the array; an existing one is used.
        grid: grid of the windows.
        windows: planned windows.
    """

    def __init__(self, path: Path, grid: WindowGrid, windows: Sequence[Window]) -> None:
        import zarr

        self.grid = grid
        self._planned = {(window.row, window.column) for window in windows}
        self._lock = threading.Lock()  # of chunks that windows share
        self._array = zarr.open_array(
            path, mode="a", shape=(grid.height, grid.width), chunks=grid.step, dtype="uint8", fill_value=0
        )

    def store(self, window: Window, pixels: np.ndarray) -> None:
        """Store the density of a window: its own cell of the grid, and its part of neighbouring cells without a window.

        Args:
            window: planned window.
            pixels: pixels (h, w, 3) uint8 of the window, without context.
        """
        density = haematoxylin_density(pixels)
        for row in (window.row, window.row + 1):
            for column in (window.column, window.column + 1):
                own = (row, column) == (window.row, window.column)
                inside = row < self.grid.rows and column < self.grid.columns
                if own or (inside and (row, column) not in self._planned):
                    self._write(window, density, self.grid.strip(row), self.grid.part(column))

    def _write(self, window: Window, density: np.ndarray, lines: tuple[int, int], columns: tuple[int, int]) -> None:
        bottom, right = min(lines[1], window.y + len(density)), min(columns[1], window.x + density.shape[1])
        part = density[lines[0] - window.y : bottom - window.y, columns[0] - window.x : right - window.x]
        if part.any():
            with self._lock:
                self._array[lines[0] : bottom, columns[0] : right] = part


def open_density(path: Path) -> zarr.Array:
    """Open the array of a `DensityMap` for reading."""
    import zarr

    return zarr.open_array(path, mode="r")
