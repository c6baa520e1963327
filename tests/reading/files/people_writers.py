"""Writers of small files in the ways of people's programs, and the picture that they hold."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image

Pixels = np.ndarray


class PeopleFile(NamedTuple):
    """How a file is written, and what is right.

    Attributes:
        write: writes it to a path.
        shown: (H, W, 3) uint8 as people see it.
        mpp: µm per pixel (y, x).
        note: a part of what has to be said; empty where nothing is said at all.
        tolerance: in grey levels, of compression or another colour space.
    """

    write: Callable[[Path], object]
    shown: Pixels
    mpp: tuple[float, float] | None = None
    note: str = ""
    tolerance: float = 0


HEIGHT, WIDTH = 96, 128


def stained() -> Pixels:
    """Pink tissue with violet nuclei, alike under no turn or mirror."""
    rng = np.random.default_rng(0)
    image = np.full((HEIGHT, WIDTH, 3), (228, 170, 200), np.float32) + rng.normal(0, 3, (HEIGHT, WIDTH, 1))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for y, x, radius in ((20, 30, 10), (60, 24, 7), (30, 90, 12), (75, 100, 9), (50, 60, 6)):
        image[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = (95, 60, 140)
    image[:2, :2], image[2:4, :2] = 0, 255  # the whole range of values, in squares
    return image.clip(0, 255).astype(np.uint8)


RGB = stained()
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
GREY3 = np.dstack([GREY] * 3)
SMALL = np.asarray(Image.fromarray(RGB).resize((WIDTH // 8, HEIGHT // 8), Image.Resampling.BOX))
OTHER = np.full((40, 200, 3), (30, 90, 40), np.uint8)
ALPHA = np.where(np.arange(WIDTH) < 90, 255, np.zeros_like(GREY))
CM = {"resolutionunit": "CENTIMETER"}
HALF, FINE = (0.5, 0.5), (0.25, 0.25)


def tiff(pixels: Pixels = RGB, **options: object) -> Callable[[Path], object]:
    return lambda path: tifffile.imwrite(path, pixels, **{"photometric": "rgb", "metadata": None, **options})


def pillow(image: Pixels | Image.Image, **options: object) -> Callable[[Path], object]:
    made = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    return lambda path: made.save(path, **options)


def imagej(unit: str, dots: float, pixels: Pixels = RGB, **metadata: object) -> Callable[[Path], object]:
    return tiff(pixels, photometric=None, imagej=True, resolution=(dots, dots), metadata={"unit": unit, **metadata})


def ome_xml(pixels: str, channels: str = '<Channel ID="C:0" SamplesPerPixel="3"/>', prefix: str = "") -> bytes:
    """The least XML of OME around attributes of `Pixels`."""
    p, at = (f"{prefix}:", f":{prefix}") if prefix else ("", "")
    inner = channels.replace("<Channel", f"<{p}Channel")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{p}OME xmlns{at}="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<{p}Image ID="Image:0"><{p}Pixels ID="P:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{WIDTH}" '
        f'SizeY="{HEIGHT}" SizeC="3" SizeZ="1" SizeT="1" {pixels}>{inner}'
        f'<{p}TiffData IFD="0" PlaneCount="1"/></{p}Pixels></{p}Image></{p}OME>'
    ).encode()


def ome(size: str, unit: str | None, **options: object) -> Callable[[Path], object]:
    said = "".join(f' PhysicalSize{axis}="{size}"' for axis in "XY")
    said += "".join(f' PhysicalSize{axis}Unit="{unit}"' for axis in "XY") if unit is not None else ""
    prefix = str(options.pop("prefix", ""))
    return tiff(tile=(64, 64), description=ome_xml(said, prefix=prefix), **options)


def pages(*images: tuple[Pixels, float | None, dict[str, object]]) -> Callable[[Path], object]:
    """Plain pages, each with its own µm per pixel in its tags."""

    def write(path: Path) -> None:
        with tifffile.TiffWriter(path) as writer:
            for pixels, mpp, options in images:
                dots = {} if mpp is None else {"resolution": (1e4 / mpp, 1e4 / mpp), **CM}
                writer.write(pixels, **{"photometric": "rgb", "metadata": None, **dots, **options})

    return write


def ome_images(*images: tuple[Pixels, str, float]) -> Callable[[Path], object]:
    """Images of OME, each with its own name and µm per pixel."""

    def write(path: Path) -> None:
        with tifffile.TiffWriter(path, ome=True) as writer:
            for pixels, name, mpp in images:
                metadata = {"axes": "YXS", "Name": name, "PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
                writer.write(pixels, photometric="rgb", metadata=metadata)

    return write


def planes(axes: str, pixels: Pixels, photometric: str = "minisblack", **metadata: object) -> Callable[[Path], object]:
    return tiff(pixels, photometric=photometric, ome=True, metadata={"axes": axes, **metadata})


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


def oriented(shown: Pixels, orientation: int) -> Pixels:
    """What has to be stored so that viewers show `shown`."""
    turn = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    return np.ascontiguousarray(turn[orientation](shown))
