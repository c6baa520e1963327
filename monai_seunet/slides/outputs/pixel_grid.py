"""Which pixels a raster file has, and where they lie on the slide."""

from __future__ import annotations

from typing import Any, NamedTuple


class PixelGrid(NamedTuple):
    """Pixels of a label image or of maps; (y, x) throughout.

    Attributes:
        size: height and width.
        corner: of the first pixel in base pixels, whose edges lie at integers.
        downsample: base pixels per pixel, along a side.
        mpp: µm per pixel; None where it is not known.
    """

    size: tuple[int, int]
    corner: tuple[float, float]
    downsample: tuple[float, float]
    mpp: tuple[float, float] | None

    @property
    def position(self) -> tuple[float, float]:
        """From the centre of the first base pixel to that of the first pixel: µm, or base pixels where µm are unknown.

        The origin of ITK, of NIfTI and of OME-Zarr (RFC 5) is the centre of a pixel; OME-XML leaves it open.
        """
        units = (1.0, 1.0) if self.mpp is None else [m / d for m, d in zip(self.mpp, self.downsample, strict=True)]
        y, x = (
            (corner + downsample / 2 - 0.5) * unit
            for corner, downsample, unit in zip(self.corner, self.downsample, units, strict=True)
        )
        return y, x

    def describe(self, file: str) -> dict[str, Any]:
        """Plain values for JSON.

        Args:
            file: that has these pixels.
        """
        return {
            "file": file,
            "height": self.size[0],
            "width": self.size[1],
            "mpp": None if self.mpp is None else list(self.mpp),
            "downsample": list(self.downsample),
            "corner": list(self.corner),
        }
