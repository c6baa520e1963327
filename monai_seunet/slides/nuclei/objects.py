"""Nuclei of a part of a slide as arrays, and files of nuclei."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import numpy as np

from monai_seunet.slides.nuclei.rules import SPECK, LeftOut, is_speck
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write

HALF = 0.5  # corners of contours lie at multiples of half a pixel
# Attributes with one row for each nucleus.
ARRAYS: tuple[str, ...] = (
    *("boxes", "areas", "centroids", "classes", "confidences", "groups"),
    *("perimeters", "eccentricities", "solidities", "densities"),
)


@dataclass(frozen=True, eq=False)
class Objects:
    """K nuclei in raster order of their first pixel, in pixels of the working resolution; points are (y, x).

    Pixel edges lie at integers: the centre of pixel i is i + 0.5.
    Limits: masks overlap only where a nucleus lies within a hole of another nucleus, because masks have no holes.

    Attributes:
        boxes: boxes (K, 4) int64 as y0, x0, y1, x1, with excluded ends.
        masks: K bool arrays of the size of their box; 4-connected, without holes.
        contours: K exterior rings (P, 2) float32; the first point is not repeated, the area from x to y is positive.
        areas: areas (K,) int64 in pixels.
        centroids: centroids (K, 2) float64.
        classes: foreground classes (K,) int64, from 1.
        confidences: mean foreground probabilities (K,) float64.
        groups: scale groups (K,) int64 with the most pixels, from 0; -1 if not known.
        perimeters: perimeters (K,) float64 in pixels, see `shapes.perimeters`.
        eccentricities: eccentricities (K,) float64, see `shapes.eccentricities`.
        solidities: areas (K,) float64 divided by those of the convex hulls, see `shapes.solidities`.
        densities: mean optical densities (K,) float64 of haematoxylin, to base 10; NaN if not known.
        notes: remarks for the user.
        left_out: areas that are no nuclei by the rules.
    """

    boxes: np.ndarray
    masks: list[np.ndarray]
    contours: list[np.ndarray]
    areas: np.ndarray
    centroids: np.ndarray
    classes: np.ndarray
    confidences: np.ndarray
    groups: np.ndarray
    perimeters: np.ndarray
    eccentricities: np.ndarray
    solidities: np.ndarray
    densities: np.ndarray
    notes: tuple[str, ...] = ()
    left_out: LeftOut = field(default_factory=LeftOut)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def dropped(self) -> int:
        """Number of areas that were left out."""
        return len(self.left_out)

    @property
    def first_pixels(self) -> np.ndarray:
        """First pixel (K, 2) int64 of each mask by row, then column; no two nuclei share one."""
        columns = [int(mask[0].argmax()) for mask in self.masks]
        return self.boxes[:, :2] + np.stack([np.zeros(len(self), np.int64), np.array(columns, np.int64)], axis=1)

    def within(self, y0: float, x0: float, y1: float, x1: float) -> Objects:
        """Select the nuclei, and the areas left out, with their centre in a rectangle; y1 and x1 are excluded."""

        def inside(centres: np.ndarray) -> np.ndarray:
            y, x = centres.reshape(-1, 2).T
            return np.asarray((y >= y0) & (y < y1) & (x >= x0) & (x < x1))

        return replace(self.select(inside(self.centroids)), left_out=self.left_out.select(inside(self.left_out.places)))

    def without(self, bad: np.ndarray) -> Objects:
        """Leave out the nuclei that are marked as specks (K,) bool, and count them in `left_out`."""
        reasons = np.full(int(bad.sum()), SPECK, np.int8)
        specks = LeftOut(self.centroids[bad], self.areas[bad], reasons)
        return replace(self.select(~bad), left_out=self.left_out.joined(specks))

    def select(self, chosen: np.ndarray) -> Objects:
        """Select nuclei by a mask (K,) bool; `left_out` stays."""
        indices = np.flatnonzero(chosen).tolist()
        lists = {"masks": [self.masks[k] for k in indices], "contours": [self.contours[k] for k in indices]}
        return replace(self, **lists, **{name: getattr(self, name)[chosen] for name in ARRAYS})  # type: ignore[arg-type]

    def save(self, path: str | Path) -> Path:
        """Write a compressed archive of plain arrays in one atomic step.

        Invariant: `Objects.load` gives the same values.
        """
        corners = [np.round((c - b[:2]) / HALF) for c, b in zip(self.contours, self.boxes, strict=True)]
        with atomic_write(path) as temporary:
            np.savez_compressed(
                temporary,
                mask_bits=np.packbits(np.concatenate([np.zeros(0, bool), *(mask.ravel() for mask in self.masks)])),
                contour_lengths=np.array([len(c) for c in self.contours], np.int64),
                contour_corners=np.concatenate([np.zeros((0, 2)), *corners]).astype(np.uint16),
                notes=np.array(json.dumps(self.notes)),
                left_out=self.left_out.places,
                left_out_areas=self.left_out.areas,
                left_out_reasons=self.left_out.reasons,
                **{name: getattr(self, name) for name in ARRAYS},
            )
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Objects:
        """Read a file that `save` wrote.

        Raises:
            InputError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                return _unpack(dict(content))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{path}: not the nuclei of a block ({error}); remove it and try again") from error


class ObjectFiles(Sequence[Objects]):
    """Sequence of the nuclei of files, which keeps none of them in memory.

    Args:
        paths: files in the order in which nuclei are numbered.
        bad: mask of the specks of each file, see `Objects.without`; None for no specks.
    """

    def __init__(self, paths: Sequence[str | Path], bad: Sequence[np.ndarray] | None = None) -> None:
        self.paths, self.bad = [Path(path) for path in paths], bad

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Objects: ...

    @overload
    def __getitem__(self, index: slice) -> ObjectFiles: ...

    def __getitem__(self, index: int | slice) -> Objects | ObjectFiles:
        if isinstance(index, slice):
            return ObjectFiles(self.paths[index], None if self.bad is None else self.bad[index])
        objects = Objects.load(self.paths[index])
        return objects if self.bad is None else objects.without(self.bad[index])

    def without_specks(self, share: float) -> ObjectFiles:
        """Leave out the specks among the nuclei of all files, see `is_speck`.

        Args:
            share: least share of the typical area of the objects around; 0 keeps all.
        """
        if share == 0:
            return self
        measures = [(objects.areas, objects.centroids) for objects in self]
        areas, centroids = (np.concatenate(arrays) for arrays in zip(*measures, strict=True))
        ends = np.cumsum([len(areas_of_file) for areas_of_file, _ in measures])[:-1]
        return ObjectFiles(self.paths, np.split(is_speck(areas, centroids, share), ends))


def _pieces(flat: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    if lengths.sum() != len(flat):
        raise ValueError(f"{len(flat)} values where {lengths.sum()} are needed")
    ends = np.cumsum(lengths).tolist()
    return [flat[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]


def _unpack(values: dict[str, np.ndarray]) -> Objects:
    boxes = values["boxes"]
    sizes = boxes[:, 2:] - boxes[:, :2]
    pixels = sizes.prod(axis=1)
    bits = np.unpackbits(values["mask_bits"], count=int(pixels.sum())).astype(bool)
    corners = _pieces(values["contour_corners"], values["contour_lengths"])
    return Objects(
        masks=[part.reshape(size) for part, size in zip(_pieces(bits, pixels), sizes.tolist(), strict=True)],
        contours=[(c * HALF + box[:2]).astype(np.float32) for c, box in zip(corners, boxes, strict=True)],
        notes=tuple(json.loads(str(values["notes"]))),
        left_out=LeftOut(values["left_out"], values["left_out_areas"], values["left_out_reasons"]),
        **{name: values[name] for name in ARRAYS},
    )
