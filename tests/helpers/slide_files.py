"""Slides made for the tests."""

import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile

from monai_seunet.reading.pixel_size import pixel_size
from monai_seunet.reading.slide import Slide, pyramid_level


class ArraySlide(Slide):
    """A slide whose levels are arrays; keeps a list of what was read."""

    def __init__(self, arrays, *, mpp=None, objective_power=None, path=Path("array.svs")):
        base = arrays[0].shape[:2]
        levels = [pyramid_level(base, array.shape[:2]) for array in arrays]
        sizes = [] if mpp is None else pixel_size("the file", *mpp)
        super().__init__(path, levels, sizes=sizes, objective_power=objective_power, vendor="array")
        self.arrays = arrays
        self.log = []

    def _read_inside(self, level, y, x, height, width):
        self.log.append((level, height, width))
        return self.arrays[level][y : y + height, x : x + width]

    def for_thread(self):
        return self

    def close(self):
        pass


def noise(height: int, width: int, channels: int = 3, seed: int = 0, dtype=np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, (height, width, channels), dtype=dtype, endpoint=True)


def halved(pixels: np.ndarray) -> np.ndarray:
    height, width = (length // 2 * 2 for length in pixels.shape[:2])
    blocks = pixels[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    return np.round(blocks.mean(axis=(1, 3))).astype(pixels.dtype)


def pyramid(height: int = 203, width: int = 301, count: int = 3) -> list[np.ndarray]:
    levels = [noise(height, width)]
    while len(levels) < count:
        levels.append(halved(levels[-1]))
    return levels


def write_pyramid(path: Path, levels: list[np.ndarray], *, subifds: bool = False, **options) -> Path:
    """A tiled TIFF with its levels in sub-IFDs or in pages."""
    options = {"tile": (64, 64), "compression": "zlib", "photometric": "rgb", **options}
    metadata = options.pop("metadata", None)
    with tifffile.TiffWriter(path, ome=path.name.endswith(".ome.tif")) as writer:
        first = {"subifds": len(levels) - 1} if subifds else {}
        writer.write(levels[0], metadata=metadata, **first, **options)
        for level in levels[1:]:
            writer.write(level, subfiletype=1, metadata=None, **options)
    return path


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """Chunks of a PNG, each of a name and its data, with their lengths and checksums."""
    framed = [struct.pack(">I", len(data)) + name + data for name, data in chunks]
    return b"".join(one + struct.pack(">I", zlib.crc32(one[4:])) for one in framed)


def overwrite_tile(path: Path, page: int, tile: int) -> None:
    """Fill one tile of a TIFF file with bytes that no decoder accepts."""
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[page].dataoffsets[tile], tiff.pages[page].databytecounts[tile]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xaa" * count)
