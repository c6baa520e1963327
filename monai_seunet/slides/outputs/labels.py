"""Nuclei as a label image: a pyramid that is never in memory as a whole, or one array for small slides."""

from __future__ import annotations

import tempfile
import uuid
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from monai_seunet.errors import InputError
from monai_seunet.files import whole_file
from monai_seunet.progress import progress_bar
from monai_seunet.slides.objects import Objects
from monai_seunet.slides.outputs.frame import SlideFrame
from monai_seunet.writers.raster import write_raster

TILE = 512
FACTOR = 4  # between levels, as Aperio has it; the level below the finest takes 1/16 of its size on the disk
BIGGEST_CLASSIC = 2**32 - 2**25  # bytes of pixels, before compression, with room for tags
MAX_BYTES = 2**30  # of an array in memory, for formats that cannot be written in parts


class LabelRows:
    """Label image of nuclei in bands of rows.

    A pixel that several nuclei hold is of the smallest, of the first of two alike.
    Law: bands of any height give the same image.

    Args:
        blocks: nuclei of the slide; each block is loaded once for every band that it reaches.
        width: of the image.
    """

    def __init__(self, blocks: Sequence[Objects], width: int) -> None:
        self.blocks, self.width = blocks, width
        reaches, areas, counts = [], [np.zeros(1, np.int64)], [0]
        for objects in blocks:
            rows = objects.boxes[:, [0, 2]]
            reaches.append((rows[:, 0].min(), rows[:, 1].max()) if len(objects) else (0, 0))
            areas.append(objects.areas)
            counts.append(len(objects))
        self.reaches = reaches
        self.areas = np.concatenate(areas)
        self.first = np.cumsum(counts) + 1
        if len(self.areas) > np.iinfo(np.uint32).max:
            raise InputError(f"{len(self.areas) - 1} nuclei are more than a label image of 32 bits can number")

    def read(self, y0: int, y1: int) -> np.ndarray:
        """Rows y0 to y1, (y1 - y0, width) uint32; 0 is background."""
        band = np.zeros((y1 - y0, self.width), np.uint32)
        for index, (top, bottom) in enumerate(self.reaches):
            if top < y1 and bottom > y0:
                self._draw(band, self.blocks[index], int(self.first[index]), y0)
        return band

    def _draw(self, band: np.ndarray, objects: Objects, first: int, y0: int) -> None:
        for k, (top, left, bottom, right) in enumerate(objects.boxes.tolist()):
            rows = slice(max(top, y0) - top, min(bottom, y0 + len(band)) - top)
            if rows.start >= rows.stop:
                continue
            here = band[rows.start + top - y0 : rows.stop + top - y0, left:right]
            mask = objects.masks[k][rows]
            taken = here[mask]
            if taken.any():
                mask = mask.copy()
                mask[mask] = (taken == 0) | (self.areas[taken] > objects.areas[k])
            here[mask] = first + k


def write_label_tiff(path: str | Path, blocks: Sequence[Objects], frame: SlideFrame) -> Path:
    """Write a tiled, pyramidal OME-TIFF of instance labels at the working resolution, losslessly compressed.

    Lower levels take every fourth pixel, so that each holds labels only.
    Limits: one row of tiles is in memory; the second level lies on the disk, beside the file, while it is written.

    Args:
        path: .ome.tif
        blocks: nuclei of the slide, in the order in which they are numbered.
        frame: of the slide.
    """
    import tifffile

    height, width = frame.size
    shapes = _level_shapes(height, width)
    labels = LabelRows(blocks, width)
    metadata: dict[str, Any] = {"axes": "YX", "Name": frame.name}
    metadata["UUID"] = str(uuid.uuid5(frame.namespace, "labels"))  # else one made of the time
    if frame.working_mpp is not None:
        for axis, mpp in zip("YX", frame.working_mpp, strict=True):
            metadata |= {f"PhysicalSize{axis}": mpp, f"PhysicalSize{axis}Unit": "µm"}
    options: dict[str, Any] = {
        "dtype": np.uint32,
        "tile": (TILE, TILE),
        "compression": "zlib",
        "photometric": "minisblack",
    }
    size = sum(h * w for h, w in shapes) * np.dtype(np.uint32).itemsize
    with (
        whole_file(path) as temporary,
        tempfile.TemporaryFile(dir=temporary.parent) as scratch,
        tifffile.TiffWriter(temporary, bigtiff=size > BIGGEST_CLASSIC, ome=True) as file,
    ):
        levels = [_scratch(scratch, shapes[1])] if len(shapes) > 1 else []
        rows = _tiles(_bands(labels, height, levels), shapes[0])
        file.write(rows, shape=shapes[0], subifds=len(shapes) - 1, metadata=metadata, **options)
        for shape in shapes[1:]:
            level = levels[0][: shape[0], : shape[1]]
            file.write(_tiles(_slices(level), shape), shape=shape, subfiletype=1, metadata=None, **options)
            levels[0] = level[np.ix_(_middles(shape[0]), _middles(shape[1]))]
    return Path(path)


def write_label_raster(
    path: str | Path, blocks: Sequence[Objects], frame: SlideFrame, max_bytes: int = MAX_BYTES
) -> Path:
    """Write the instance labels as one NIfTI, NRRD or MHA file with its spacing, as 3D Slicer opens it.

    Args:
        path: .nii.gz, .nii, .nrrd or .mha
        blocks: nuclei of the slide.
        frame: of the slide.
        max_bytes: of the array in memory.

    Raises:
        InputError: for a slide that needs more.
    """
    height, width = frame.size
    size = height * width * np.dtype(np.uint32).itemsize
    if size > max_bytes:
        raise InputError(
            f"{path}: labels of {height} x {width} pixels take {size / 2**30:.1f} GiB of memory, the limit is "
            f"{max_bytes / 2**30:.1f}; use labels.ome.tif, which has no limit, or a larger mpp"
        )
    mpp = None if frame.working_mpp is None else float(np.mean(frame.working_mpp))
    return write_raster(path, LabelRows(blocks, width).read(0, height), mpp)


def _level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the levels, down to one tile."""
    shapes = [(height, width)]
    while max(shapes[-1]) > TILE:
        shapes.append((-(-shapes[-1][0] // FACTOR), -(-shapes[-1][1] // FACTOR)))
    return shapes


def _middles(length: int) -> np.ndarray:
    """Which pixels of a line the next level takes; a last one that is not whole gives its last pixel."""
    return np.minimum(np.arange(0, length, FACTOR) + FACTOR // 2, length - 1)


def _scratch(file: Any, shape: tuple[int, int]) -> np.ndarray:
    """Zeros on the disk; what is never written takes no room there."""
    return np.memmap(file, np.uint32, "w+", shape=shape)


def _bands(labels: LabelRows, height: int, levels: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Rows of tiles of the finest level; on their way they fill the next one."""
    for y in progress_bar(range(0, height, TILE), desc="labels", unit="row", leave=False):
        band = labels.read(y, min(y + TILE, height))
        if levels and band.any():
            reduced = band[np.ix_(_middles(len(band)), _middles(labels.width))]
            levels[0][y // FACTOR : y // FACTOR + len(reduced)] = reduced
        yield band


def _slices(level: np.ndarray) -> Iterator[np.ndarray]:
    for y in range(0, len(level), TILE):
        yield level[y : y + TILE]


def _tiles(bands: Iterator[np.ndarray], shape: tuple[int, int]) -> Iterator[bytes]:
    """Compressed tiles, row by row, filled up with zeros."""
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
