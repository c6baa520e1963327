"""One level of a TIFF file, decoded tile by tile or strip by strip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tifffile import TIFF

from monai_seunet.reading.colours import SAMPLES, WHITE, Colours, as_rgb, luma
from monai_seunet.utils.errors import InputError

# The cache holds a row of windows over an image in strips that is 40,000 pixels wide.
CACHE_BYTES = 128 << 20
# Uncompressed rows are read in pieces of about this size, because a strip may be the whole image.
PIECE_BYTES = 1 << 20
# Number of pixels that determine the range of values of an image with more than 8 bits, in total and at a time.
RANGE_PIXELS = 32 << 20
PIECE_SAMPLES = 1 << 18
# A page is compared to the scan in a crop of this side, and may differ by this mean of grey levels.
COMPARED_SIDE = 64
MOST_DIFFERENCE = 8.0
_KINDS = {0: "inverted", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIELAB", 9: "ICC L*a*b*"}
_JPEG = (6, 7, 34892, 33007)  # the decoder always returns RGB
_JPEG_2000, _JPEG_2000_RGB = 33003, 33005  # numbers of Aperio; Bio-Formats uses the first one for RGB, too


class TiffLevel:
    """One level, stored as one page or as one page for each channel.

    Limits: a compressed image in a single strip is decoded as a whole, because the format has no smaller unit.

    Args:
        pages: pages of tifffile that have equal sizes and types.
        path: file name for messages.

    Raises:
        InputError: the samples are not colours, or the file ends before its pixels.
    """

    def __init__(self, pages: Sequence[Any], path: Path) -> None:
        self._pages = pages
        page = self._page = pages[0].keyframe
        self.height, self.width = int(page.imagelength), int(page.imagewidth)
        if min(self.height, self.width) < 1:
            raise InputError(f"{path}: the image has {self.width} x {self.height} pixels; export it again")
        self.colours = _colours(page, len(pages), path)
        _require_whole(pages, path)
        self.is_declared = bool(page.is_reduced or page.is_subifd or page.parent.is_ome or page.parent.is_svs)
        self._rows_bytes = 0
        if page.is_tiled:
            self._block = (page.tilelength, page.tilewidth)
        else:
            self._block = (min(page.rowsperstrip, self.height), self.width)
            if page.is_contiguous and page.planarconfig == 1 and len(pages) == 1 and page.fillorder == 1:
                self._rows_bytes = self.width * page.samplesperpixel * page.dtype.itemsize
                self._block = (min(max(PIECE_BYTES // self._rows_bytes, 1), self.height), self.width)
        self._grid = (-(-self.height // self._block[0]), -(-self.width // self._block[1]))
        room = max(CACHE_BYTES // (3 * self._block[0] * self._block[1]), 1)
        self._decoded = lru_cache(maxsize=room)(self._decode)

    def read(self, y: int, x: int, height: int, width: int) -> np.ndarray:
        """Read a region inside the level as (height, width, 3) uint8."""
        result = np.empty((height, width, 3), np.uint8)
        rows, columns = self._block
        for row in range(y // rows, -(-(y + height) // rows)):
            for column in range(x // columns, -(-(x + width) // columns)):
                top, left = max(row * rows, y), max(column * columns, x)
                bottom, right = min((row + 1) * rows, y + height), min((column + 1) * columns, x + width)
                block = self._decoded(row, column)[top - row * rows : bottom - row * rows]
                part = block[:, left - column * columns : right - column * columns]
                result[top - y : bottom - y, left - x : right - x] = part
        return result

    def look_up_ranges(self, declared_bits: int | None) -> None:
        """Determine the range of values from the level, or from a lattice of blocks if the level is large.

        `declared_bits` is the number of significant bits per sample that the file states.
        """
        self.colours = self.colours.with_ranges(self._spread_pieces, declared_bits)

    def _spread_pieces(self) -> Iterator[np.ndarray]:
        """Yield the stored values of blocks in a lattice over the level, or of all blocks if the level is small."""
        rows, columns = self._block
        joined = max(1, min(PIECE_SAMPLES // (rows * columns), self._grid[0]))  # a strip may have only one row
        bands, grid_columns = -(-self._grid[0] // joined), self._grid[1]
        most = max(1, RANGE_PIXELS // (joined * rows * columns))
        lattice_columns = max(1, min(grid_columns, most, round((most * grid_columns / bands) ** 0.5)))
        lattice_rows = max(1, min(bands, most // lattice_columns))
        if bands * grid_columns <= most:
            lattice_rows, lattice_columns = bands, grid_columns
        for band in _middles(bands, lattice_rows):
            for column in _middles(grid_columns, lattice_columns):
                first = band * joined
                parts = [self._inside(row, column) for row in range(first, min(first + joined, self._grid[0]))]
                scanned = [part for part in parts if part is not None]
                if scanned:
                    yield np.concatenate(scanned)

    def _inside(self, row: int, column: int) -> np.ndarray | None:
        """Return the stored values of a block without the padding of a tile beyond the image."""
        samples, (rows, columns) = self._samples(row, column), self._block
        return None if samples is None else samples[: self.height - row * rows, : self.width - column * columns]

    def _decode(self, row: int, column: int) -> np.ndarray:
        """Return one block as RGB, white if the file leaves it out."""
        samples = self._samples(row, column)
        return np.full((*self._block, 3), WHITE, np.uint8) if samples is None else as_rgb(samples, self.colours)

    def _samples(self, row: int, column: int) -> np.ndarray | None:
        """Return the stored values (rows, columns, samples) of one block; None if the file leaves it out."""
        if self._rows_bytes:
            return self._uncompressed_rows(row)
        segments = self._grid[0] * self._grid[1]
        planes = self._page.samplesperpixel if self._page.planarconfig == 2 else 1
        index = row * self._grid[1] + column
        stored = [_segment(page, plane * segments + index) for page in self._pages for plane in range(planes)]
        samples = [segment for segment in stored if segment is not None]
        return None if len(samples) < len(stored) else np.concatenate(samples, axis=2)

    def _uncompressed_rows(self, row: int) -> np.ndarray:
        """Read uncompressed values (rows, width, samples) directly from the file."""
        page = self._page
        first = row * self._block[0]
        start = self._pages[0].dataoffsets[0]
        count = min(self._block[0], self.height - first)
        content = _bytes(page, start + first * self._rows_bytes, count * self._rows_bytes)
        values = np.frombuffer(content, page.dtype.newbyteorder(page.parent.byteorder))
        return values.reshape(count, self.width, page.samplesperpixel).astype(page.dtype, copy=False)


def shows_the_same(finest: TiffLevel, coarser: TiffLevel) -> bool:
    """Return whether the centres of two levels show the same tissue, for files that do not state their pyramids."""
    height, width = min(coarser.height, COMPARED_SIDE), min(coarser.width, COMPARED_SIDE)
    top, left = (coarser.height - height) // 2, (coarser.width - width) // 2
    small = luma(coarser.read(top, left, height, width))
    factor = finest.height / coarser.height, finest.width / coarser.width
    rows, columns = (int(factor[0] * height), int(factor[1] * width))
    large = luma(finest.read(int(factor[0] * top), int(factor[1] * left), rows, columns))
    shrunk = np.asarray(Image.fromarray(large).resize((width, height), Image.Resampling.BOX)).astype(np.float64)
    if np.abs(shrunk - small).mean() <= MOST_DIFFERENCE:
        return True
    return min(shrunk.std(), small.std()) > 0 and float(np.corrcoef(shrunk.ravel(), small.ravel())[0, 1]) > 0.5


def _middles(length: int, parts: int) -> list[int]:
    """Return the indices in the middle of equal parts of a length."""
    return [int((part + 0.5) * length / parts) for part in range(parts)]


def _segment(page: Any, index: int) -> np.ndarray | None:
    """Decode one tile or strip to (rows, columns, samples); None if the file leaves it out."""
    size = page.databytecounts[index]
    if size == 0:
        return None
    content = _bytes(page, page.dataoffsets[index], size)
    return page.decode(content, index, jpegtables=page.jpegtables)[0][0]


def _bytes(page: Any, offset: int, size: int) -> bytes:
    file = page.parent.filehandle
    if offset + size > file.size:  # a damaged size would otherwise allocate too much memory
        raise ValueError("the file ends before its pixels")
    file.seek(offset)
    return file.read(size)


def _require_whole(pages: Sequence[Any], path: Path) -> None:
    """Raise an error for a truncated file before a long job starts."""
    reach = max(int(np.add(page.dataoffsets, page.databytecounts).max(initial=0)) for page in pages)
    size = path.stat().st_size
    if reach > size:
        raise InputError(f"{path}: the file ends at byte {size}, but its pixels reach to {reach}; copy it again")


def _colours(page: Any, pages: int, path: Path) -> Colours:
    """Return the colour encoding of the samples, or raise an error if they are not colours."""
    samples = int(page.samplesperpixel) * pages
    kind = _KINDS.get(int(page.photometric), "")
    if page.compression in _JPEG and kind == "YCbCr":
        kind = "RGB"
    if samples == 3 and page.compression == _JPEG_2000 and not _transforms_components(page):
        kind = "YCbCr"
    if samples == 3 and page.compression == _JPEG_2000_RGB:
        kind = "RGB"
    guessed = samples == 3 and kind == "grey"
    if guessed:
        kind = "RGB"
    extra = [int(meaning) for meaning in page.extrasamples]
    channels = SAMPLES.get(kind, 1)
    if page.dtype is None or page.dtype.kind not in "ub" or page.dtype.itemsize > 2:
        raise InputError(f"{path}: pixels of {page.dtype} are no colours; export the image with 8 bits a channel")
    if not kind or page.imagedepth != 1 or not channels <= samples <= channels + 1:
        colours = getattr(page.photometric, "name", page.photometric)
        raise InputError(f"{path}: {samples} channels of {colours} colours cannot be read; export it as RGB or grey")
    _require_decoder(page, kind, path)
    alpha = {1: "premultiplied", 2: "straight"}.get(extra[0] if extra else 0, "unknown") if samples > channels else ""
    palette = None
    if kind == "palette":
        palette = np.asarray(page.colormap).T
        if palette.ndim != 2 or palette.shape[1] != 3:
            raise InputError(f"{path}: the palette is damaged; export the image again")
        if palette.max(initial=0) > WHITE:  # some writers store 8 bits, although TIFF requires 16
            palette = palette >> 8  # correct for writers that multiply by 256 or by 257
        palette = palette.astype(np.uint8)
    bits = 1 if page.dtype.kind == "b" else int(page.bitspersample)
    return Colours(kind, bits, alpha, palette, guessed=guessed)


def _transforms_components(page: Any) -> bool:
    """Return whether a JPEG 2000 stream uses its own colour transform, so the decoder returns RGB."""
    sizes = zip(page.dataoffsets, page.databytecounts, strict=True)
    head = next((_bytes(page, offset, min(count, 4096)) for offset, count in sizes if count), b"")
    marker = head.find(b"\xff\x52")  # COD: length, style, order, layers, transform of the components
    return 0 <= marker < len(head) - 8 and head[marker + 8] == 1


def _require_decoder(page: Any, kind: str, path: Path) -> None:
    """Raise an error if tifffile cannot decode the compression, or would return wrong colours."""
    name = getattr(page.compression, "name", page.compression)
    if page.compression not in TIFF.DECOMPRESSORS:
        raise InputError(f"{path}: compression {name} cannot be decoded; export the image with LZW or deflate")
    if kind == "YCbCr" and page.compression not in _JPEG and tuple(page.subsampling or (1, 1)) != (1, 1):
        raise InputError(f"{path}: YCbCr with subsampled colour cannot be decoded; export the image as RGB")
    inks = getattr(page.tags.get("InkSet"), "value", 1)
    if kind == "CMYK" and inks != 1:
        raise InputError(f"{path}: four inks that are not CMYK; export the image as RGB")
