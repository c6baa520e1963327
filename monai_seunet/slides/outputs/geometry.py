"""What the files of a slide need to know about it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects


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


NAMESPACE = uuid.UUID("6f0f4a51-3c7b-5d0c-9d2e-2f7f3f9f7a10")  # of slides


@dataclass(frozen=True)
class SlideGeometry:
    """A slide's name, sizes and classes, for those who write files about its nuclei.

    Attributes:
        name: of the slide, the same wherever its file lies.
        size: height and width at the working resolution.
        scale: (y, x) working pixels per base pixel.
        mpp: (y, x) µm per base pixel; None where it is not known.
        classes: names of the foreground classes.
        sigmas: sigma of each scale group in working pixels; empty where the network has no groups.
        base: height and width of the base level; None for that of `size`.
        corner: (y, x) of the working pixels in the slide, where they show a region of it only.
        file_bytes: size of the file, which tells it from another slide's file of the same name.
        region: top, left, bottom and right of the region that was asked for, in base pixels; None for the whole slide.
        labels_at: whose pixels label images have, `image` or `network`.
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

    @property
    def namespace(self) -> uuid.UUID:
        """Of the ids of its nuclei and images."""
        return uuid.uuid5(NAMESPACE, f"{self.name}/{self.file_bytes}")

    @property
    def base_size(self) -> tuple[int, int]:
        """Height and width of the base level."""
        height, width = (round(length / scale) for length, scale in zip(self.size, self.scale, strict=True))
        return self.base or (height, width)

    @property
    def working_mpp(self) -> tuple[float, float] | None:
        """(y, x) µm per working pixel."""
        return None if self.mpp is None else (self.mpp[0] / self.scale[0], self.mpp[1] / self.scale[1])

    @property
    def area_unit(self) -> str:
        """Of `area`: µm², or base pixels where the µm per pixel is not known."""
        return "px^2" if self.mpp is None else "µm^2"

    @property
    def image_grid(self) -> PixelGrid:
        """The base pixels of the slide or of the region."""
        top, left, bottom, right = self.region or (0, 0, *self.base_size)
        return PixelGrid((bottom - top, right - left), (top, left), (1.0, 1.0), self.mpp)

    @property
    def network_grid(self) -> PixelGrid:
        """The working pixels."""
        (y, x), (down, across) = self.corner, self.scale
        return PixelGrid(self.size, (y / down, x / across), (1 / down, 1 / across), self.working_mpp)

    @property
    def label_grid(self) -> PixelGrid:
        """The pixels of label images."""
        return self.network_grid if self.labels_at == "network" else self.image_grid

    def overview_grid(self, size: tuple[int, ...]) -> PixelGrid:
        """The pixels of a small picture of the whole slide.

        Args:
            size: its height and width.
        """
        height, width = size
        down, across = self.base_size[0] / height, self.base_size[1] / width
        mpp = None if self.mpp is None else (self.mpp[0] * down, self.mpp[1] * across)
        return PixelGrid((height, width), (0, 0), (down, across), mpp)

    def places(self, grid: PixelGrid) -> list[np.ndarray]:
        """The working row at the centre of each row of a grid, and the same of the columns; int64, ascending.

        Those beside the working pixels are below 0, or not below `size`.
        """
        return [
            np.floor((start + (np.arange(length) + 0.5) * step) * scale).astype(np.int64) - corner
            for start, length, step, scale, corner in zip(
                grid.corner, grid.size, grid.downsample, self.scale, self.corner, strict=True
            )
        ]

    def to_base(self, points: np.ndarray) -> np.ndarray:
        """Working (y, x) to base (y, x), (..., 2) float64.

        The last working pixel may reach beyond the slide by part of itself, the result does not.
        """
        return np.minimum((np.asarray(points, np.float64) + self.corner) / self.scale, self.base_size)

    def area(self, pixels: np.ndarray) -> np.ndarray:
        """Working pixels to µm², or to base pixels."""
        unit = 1.0 if self.mpp is None else self.mpp[0] * self.mpp[1]
        return pixels * unit / (self.scale[0] * self.scale[1])


class Numbered(NamedTuple):
    """Nuclei of a block with what tells them apart in all files.

    Attributes:
        objects: K nuclei.
        labels: (K,) their numbers in the label image, from 1.
        ids: K UUIDs as text.
    """

    objects: Objects
    labels: np.ndarray
    ids: list[str]


def number_objects(blocks: Iterable[Objects], geometry: SlideGeometry) -> Iterator[Numbered]:
    """Number the nuclei of all blocks.

    Invariant: labels count on from block to block; an id depends on the slide and the first pixel of the nucleus only.
    """
    first = 1
    for objects in blocks:
        first_pixels = (objects.first_pixels + geometry.corner).tolist()
        ids = [str(uuid.uuid5(geometry.namespace, f"{y}/{x}")) for y, x in first_pixels]
        yield Numbered(objects, np.arange(first, first + len(objects)), ids)
        first += len(objects)
