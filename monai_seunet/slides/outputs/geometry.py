"""Geometry of a slide and of its raster files, and numbers of its nuclei."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects


class PixelGrid(NamedTuple):
    """Pixels of a label image or of maps; all pairs are (y, x).

    Attributes:
        size: height and width in pixels.
        corner: corner of the first pixel in base pixels, whose edges lie at integers.
        downsample: base pixels along the side of a pixel.
        mpp: µm per pixel; None if not known.
    """

    size: tuple[int, int]
    corner: tuple[float, float]
    downsample: tuple[float, float]
    mpp: tuple[float, float] | None

    @property
    def position(self) -> tuple[float, float]:
        """Centre of the first pixel relative to the centre of the first base pixel: µm, or base pixels if mpp is None.

        ITK, NIfTI and OME-Zarr (RFC 5) have their origin in the centre of a pixel. OME-XML does not define it.
        """
        units = (1.0, 1.0) if self.mpp is None else [m / d for m, d in zip(self.mpp, self.downsample, strict=True)]
        y, x = (
            (corner + downsample / 2 - 0.5) * unit
            for corner, downsample, unit in zip(self.corner, self.downsample, units, strict=True)
        )
        return y, x

    def describe(self, file: str) -> dict[str, Any]:
        """Return plain values for JSON, with the name of the file that has these pixels."""
        return {
            "file": file,
            "height": self.size[0],
            "width": self.size[1],
            "mpp": None if self.mpp is None else list(self.mpp),
            "downsample": list(self.downsample),
            "corner": list(self.corner),
        }


NAMESPACE = uuid.UUID("6f0f4a51-3c7b-5d0c-9d2e-2f7f3f9f7a10")  # namespace of the ids of slides


@dataclass(frozen=True)
class SlideGeometry:
    """Name, sizes and classes of a slide, for output files; all pairs are (y, x).

    Attributes:
        name: file name of the slide without its folder.
        size: height and width at the working resolution.
        scale: working pixels per base pixel.
        mpp: µm per base pixel; None if not known.
        classes: names of the foreground classes.
        sigmas: sigma of each scale group in working pixels; empty for a network without groups.
        base: height and width of the base level; None to derive them from `size`.
        corner: first working pixel of a region in the slide.
        file_bytes: size of the slide's file, part of the ids of nuclei.
        region: top, left, bottom and right of the requested region in base pixels; None for the whole slide.
        labels_at: pixels of label images: `image` for base pixels, `network` for working pixels.
        object_type: type of the nuclei in GeoJSON: `detection` or `cell`.

    >>> geometry = SlideGeometry("a.svs", size=(50, 80), scale=(0.5, 0.5), mpp=(0.25, 0.25), classes=("nucleus",))
    >>> geometry.base_size, geometry.working_mpp
    ((100, 160), (0.5, 0.5))
    """

    name: str
    size: tuple[int, int]
    scale: tuple[float, float]
    mpp: tuple[float, float] | None
    classes: tuple[str, ...]
    sigmas: tuple[float, ...] = ()
    base: tuple[int, int] | None = None
    corner: tuple[int, int] = (0, 0)
    file_bytes: int = 0
    region: tuple[int, int, int, int] | None = None
    labels_at: str = "image"
    object_type: str = "detection"

    @property
    def namespace(self) -> uuid.UUID:
        """Namespace of the ids of nuclei and images."""
        return uuid.uuid5(NAMESPACE, f"{self.name}/{self.file_bytes}")

    @property
    def base_size(self) -> tuple[int, int]:
        """Height and width of the base level."""
        height, width = (round(length / scale) for length, scale in zip(self.size, self.scale, strict=True))
        return self.base or (height, width)

    @property
    def working_mpp(self) -> tuple[float, float] | None:
        """µm per working pixel (y, x); None if not known."""
        return None if self.mpp is None else (self.mpp[0] / self.scale[0], self.mpp[1] / self.scale[1])

    @property
    def area_unit(self) -> str:
        """Unit of `area`: µm², or base pixels if the µm per pixel are not known."""
        return "px^2" if self.mpp is None else "µm^2"

    @property
    def image_grid(self) -> PixelGrid:
        """Base pixels of the slide or of the region."""
        top, left, bottom, right = self.region or (0, 0, *self.base_size)
        return PixelGrid((bottom - top, right - left), (top, left), (1.0, 1.0), self.mpp)

    @property
    def network_grid(self) -> PixelGrid:
        """Working pixels."""
        (y, x), (down, across) = self.corner, self.scale
        return PixelGrid(self.size, (y / down, x / across), (1 / down, 1 / across), self.working_mpp)

    @property
    def label_grid(self) -> PixelGrid:
        """Pixels of label images."""
        return self.network_grid if self.labels_at == "network" else self.image_grid

    def overview_grid(self, size: tuple[int, ...]) -> PixelGrid:
        """Return the pixels of a small picture of the whole slide with this height and width."""
        height, width = size
        down, across = self.base_size[0] / height, self.base_size[1] / width
        mpp = None if self.mpp is None else (self.mpp[0] * down, self.mpp[1] * across)
        return PixelGrid((height, width), (0, 0), (down, across), mpp)

    def places(self, grid: PixelGrid) -> list[np.ndarray]:
        """Return the working row at the centre of each row of a grid, and the working columns; int64, ascending.

        Rows and columns outside the working pixels are negative, or at least `size`.
        """
        return [
            np.floor((start + (np.arange(length) + 0.5) * step) * scale).astype(np.int64) - corner
            for start, length, step, scale, corner in zip(
                grid.corner, grid.size, grid.downsample, self.scale, self.corner, strict=True
            )
        ]

    def to_base(self, points: np.ndarray) -> np.ndarray:
        """Convert points (..., 2), y and x, from working to base pixels, and limit them to the slide; float64."""
        return np.minimum((np.asarray(points, np.float64) + self.corner) / self.scale, self.base_size)

    def area(self, pixels: np.ndarray) -> np.ndarray:
        """Convert areas from working pixels to `area_unit`."""
        unit = 1.0 if self.mpp is None else self.mpp[0] * self.mpp[1]
        return pixels * unit / (self.scale[0] * self.scale[1])


class Numbered(NamedTuple):
    """Nuclei of a block with their numbers and ids in all files.

    Attributes:
        objects: K nuclei.
        labels: numbers (K,) in the label image, from 1.
        ids: K UUIDs as text.
    """

    objects: Objects
    labels: np.ndarray
    ids: list[str]


def number_objects(blocks: Iterable[Objects], geometry: SlideGeometry) -> Iterator[Numbered]:
    """Number the nuclei of all blocks.

    Invariant: labels are consecutive over all blocks. An id depends only on the slide and the first pixel of the
    nucleus.
    """
    first = 1
    for objects in blocks:
        first_pixels = (objects.first_pixels + geometry.corner).tolist()
        ids = [str(uuid.uuid5(geometry.namespace, f"{y}/{x}")) for y, x in first_pixels]
        yield Numbered(objects, np.arange(first, first + len(objects)), ids)
        first += len(objects)
