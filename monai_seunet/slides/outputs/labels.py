"""Label images of nuclei: pyramids that are written in bands, and single arrays for small slides."""

from __future__ import annotations

import tempfile
import uuid
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import PixelGrid, SlideGeometry
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write
from monai_seunet.utils.progress import progress_bar
from monai_seunet.writers.raster import write_raster

TILE = 512
FACTOR = 4  # factor between levels, as in Aperio's files; the second level takes 1/16 of the finest on the disk
BIGGEST_CLASSIC = 2**32 - 2**25  # bytes of uncompressed pixels in a classic TIFF; the rest is for tags
MAX_BYTES = 2**30  # largest array in memory for formats that cannot be written in parts


class LabelRows:
    """Label image of nuclei in bands of rows; a pixel has the label of the working pixel at its centre.

    The smallest nucleus wins where nuclei overlap; between equal areas the first nucleus wins.
    Invariant: bands of any height give the same image. Memory: a band of the image and a block of nuclei.

    Args:
        blocks: nuclei of the slide; each block is loaded once for every band that it overlaps.
        geometry: geometry of the slide.
        grid: pixels of the image; None for `geometry.label_grid`.
    """

    def __init__(self, blocks: Sequence[Objects], geometry: SlideGeometry, grid: PixelGrid | None = None) -> None:
        self.blocks, self.geometry, self.grid = blocks, geometry, grid or geometry.label_grid
        self._rows, self._columns = geometry.places(self.grid)
        self.reaches, areas = [], [np.zeros(1, np.int64)]
        for objects in blocks:
            rows = objects.boxes[:, [0, 2]]
            self.reaches.append((rows[:, 0].min(), rows[:, 1].max()) if len(objects) else (0, 0))
            areas.append(objects.areas)
        self.areas = np.concatenate(areas)
        self.first = np.cumsum([len(areas_of_block) for areas_of_block in areas])
        if len(self.areas) > np.iinfo(np.uint32).max:
            raise InputError(f"{len(self.areas) - 1} nuclei are more than a label image of 32 bits can number")
        self._shown = np.zeros(len(self.areas), bool)

    @property
    def missing(self) -> int:
        """Number of nuclei without a pixel in the rows that were read."""
        return int((~self._shown[1:]).sum())

    def read(self, y0: int, y1: int) -> np.ndarray:
        """Return rows y0 to y1 of the label image, (y1 - y0, width) uint32; 0 is background."""
        band = np.zeros((y1 - y0, self.grid.size[1]), np.uint32)
        rows = self._rows[y0:y1]
        for index, (top, bottom) in enumerate(self.reaches):
            if top <= rows[-1] and bottom > rows[0]:
                self._draw(band, rows, self.blocks[index], int(self.first[index]))
        self._shown[band[band > 0]] = True
        return band

    def _draw(self, band: np.ndarray, rows: np.ndarray, objects: Objects, first: int) -> None:
        tops, bottoms = np.searchsorted(rows, objects.boxes[:, [0, 2]].T)
        lefts, rights = np.searchsorted(self._columns, objects.boxes[:, [1, 3]].T)
        for k in np.flatnonzero((tops < bottoms) & (lefts < rights)).tolist():
            down, across = slice(tops[k], bottoms[k]), slice(lefts[k], rights[k])
            here, (top, left) = band[down, across], objects.boxes[k, :2]
            mask = objects.masks[k][np.ix_(rows[down] - top, self._columns[across] - left)]
            taken = here[mask]
            if taken.any():
                mask[mask] = (taken == 0) | (self.areas[taken] > objects.areas[k])
            here[mask] = first + k


def write_label_tiff(path: str | Path, labels: LabelRows) -> Path:
    """Write a tiled, pyramidal OME-TIFF of instance labels, losslessly compressed.

    Coarser levels take every fourth pixel, so they hold only labels. The position of the plane gives the first
    pixel of the image in the slide, see `PixelGrid.position`.
    Limits: one row of tiles is in memory. The second level needs space on the disk of the file.

    Args:
        path: path with the ending .ome.tif.
        labels: label image of the nuclei.
    """
    import tifffile

    geometry, grid = labels.geometry, labels.grid
    height, width = grid.size
    shapes = _level_shapes(height, width)
    metadata: dict[str, Any] = {"axes": "YX", "Name": geometry.name}
    metadata["UUID"] = str(uuid.uuid5(geometry.namespace, "labels"))  # the default would change from run to run
    plane: dict[str, Any] = {}
    for axis, mpp, position in zip("YX", grid.mpp or (None, None), grid.position, strict=True):
        if mpp is not None:
            metadata |= {f"PhysicalSize{axis}": mpp, f"PhysicalSize{axis}Unit": "µm"}
        plane |= {f"Position{axis}": position, f"Position{axis}Unit": "pixel" if mpp is None else "µm"}
    if any(grid.position):
        metadata["Plane"] = plane
    options: dict[str, Any] = {"dtype": np.uint32, "tile": (TILE, TILE), "compression": "zlib"}
    options["photometric"] = "minisblack"
    size = sum(h * w for h, w in shapes) * np.dtype(np.uint32).itemsize
    with (
        atomic_write(path) as temporary,
        tempfile.TemporaryFile(dir=temporary.parent) as scratch,
        tifffile.TiffWriter(temporary, bigtiff=size > BIGGEST_CLASSIC, ome=True) as file,
    ):
        # The second level is zeros in a sparse file at first.
        levels: list[np.ndarray] = [np.memmap(scratch, np.uint32, "w+", shape=shape) for shape in shapes[1:2]]
        rows = _tiles(_bands(labels, height, levels), shapes[0])
        file.write(rows, shape=shapes[0], subifds=len(shapes) - 1, metadata=metadata, **options)
        for shape in shapes[1:]:
            level = levels[0][: shape[0], : shape[1]]
            rows = _tiles((level[y : y + TILE] for y in range(0, shape[0], TILE)), shape)
            file.write(rows, shape=shape, subfiletype=1, metadata=None, **options)
            levels[0] = level[np.ix_(_middles(shape[0]), _middles(shape[1]))]
    return Path(path)


def write_label_raster(path: str | Path, labels: LabelRows, max_bytes: int = MAX_BYTES) -> Path:
    """Write the instance labels as one NIfTI, NRRD or MHA file with spacing and origin, for 3D Slicer.

    Args:
        path: path with the ending .nii.gz, .nii, .nrrd or .mha.
        labels: label image of the nuclei.
        max_bytes: largest size of the array in memory.

    Raises:
        InputError: the array would be larger.
    """
    require_memory(path, labels.grid, max_bytes)
    return write_raster(path, labels.read(0, labels.grid.size[0]), labels.grid.mpp, labels.grid.position)


def require_memory(path: str | Path, grid: PixelGrid, max_bytes: int = MAX_BYTES) -> None:
    """Check that a label image of these pixels fits in one array of at most `max_bytes`.

    Raises:
        InputError: the array would be larger.
    """
    height, width = grid.size
    size = height * width * np.dtype(np.uint32).itemsize
    if size > max_bytes:
        raise InputError(
            f"{path}: labels of {height} x {width} pixels take {size / 2**30:.1f} GiB of memory, the limit is "
            f"{max_bytes / 2**30:.1f}; use labels.ome.tif (format labels), which has no limit, or a region"
        )


def _level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the levels, down to one tile."""
    shapes = [(height, width)]
    while max(shapes[-1]) > TILE:
        shapes.append((-(-shapes[-1][0] // FACTOR), -(-shapes[-1][1] // FACTOR)))
    return shapes


def _middles(length: int) -> np.ndarray:
    """Return the pixels of a line that the next level takes: the middle of each four, or the last pixel of the line."""
    return np.minimum(np.arange(0, length, FACTOR) + FACTOR // 2, length - 1)


def _bands(labels: LabelRows, height: int, levels: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield rows of tiles of the finest level, and fill the next level."""
    for y in progress_bar(range(0, height, TILE), desc="labels", unit="row", leave=False):
        band = labels.read(y, min(y + TILE, height))
        if levels and band.any():
            reduced = band[np.ix_(_middles(len(band)), _middles(labels.grid.size[1]))]
            levels[0][y // FACTOR : y // FACTOR + len(reduced)] = reduced
        yield band


def _tiles(bands: Iterator[np.ndarray], shape: tuple[int, int]) -> Iterator[bytes]:
    """Yield compressed tiles row by row, padded with zeros."""
    empty = zlib.compress(bytes(TILE * TILE * np.dtype(np.uint32).itemsize))
    edges = [*range(0, shape[1], TILE), shape[1]]
    for band in bands:
        for left, right in pairwise(edges):
            part = band[:, left:right]
            if not part.any():
                yield empty
                continue
            tile = np.zeros((TILE, TILE), "<u4")
            tile[: part.shape[0], : part.shape[1]] = part
            yield zlib.compress(tile.tobytes())


def label_notes(labels: LabelRows, files: Sequence[str]) -> list[str]:
    """Return notes on nuclei without a pixel in the rows that were read, and on pixels that are not the slide's."""
    notes, geometry, names = [], labels.geometry, ", ".join(files)
    part = "image" if geometry.region is None else "region"
    if labels.missing:
        one = labels.missing == 1
        nuclei, has, them = ("1 nucleus is", "has", "it") if one else (f"{labels.missing} nuclei are", "have", "them")
        beside = "" if geometry.region is None else f", or {has} no pixel in the region,"
        notes.append(
            f"{nuclei} smaller than a pixel of the image{beside} and not in the label image ({names}); labels_at "
            f"network (--labels-at network) shows {them}"
        )
    if labels.grid != geometry.image_grid:
        written, asked = _pixels(labels.grid), _pixels(geometry.image_grid)
        notes.append(f"labels_at is network: the label image ({names}) has {written}, the {part} {asked}")
    return notes


def _pixels(grid: PixelGrid) -> str:
    (height, width), (y, x) = grid.size, grid.corner
    size = "" if grid.mpp is None else f" of {' x '.join(f'{mpp:.4g}' for mpp in dict.fromkeys(grid.mpp[::-1]))} µm"
    return f"{width} x {height} pixels{size} from x {x:g}, y {y:g} of the image"
