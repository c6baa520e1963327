"""Files whose samples, depth, orientation, palette, transparency or planes have to be understood."""

import re
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from people_writers import (
    ALPHA,
    CM,
    FINE,
    GREY,
    GREY3,
    HALF,
    RGB,
    exif,
    imagej,
    ome_xml,
    oriented,
    pillow,
    planes,
    tiff,
)
from PIL import Image
from skimage.color import rgb2lab
from slide_files import png_chunks

TURNED = "turned upright"
CLEAR = ALPHA == 0
CMYK = np.asarray(Image.fromarray(RGB).convert("CMYK"))
YCBCR = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
SIXTEEN = Image.fromarray(RGB).quantize(16)
ON_BLACK = np.where(CLEAR[:, :, None], 0, RGB).astype(np.uint8)
INDEXED = Image.fromarray(RGB).quantize(64)
FEW = np.asarray(INDEXED.convert("RGB"))


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Pixels of which the clear ones are white."""
    return np.where(CLEAR[:, :, None], 255, pixels).astype(np.uint8)


def planes_without_tiffdata(path: Path, order: str = "XYCZT", prefix: str = "") -> None:
    xml = ome_xml('PhysicalSizeX="0.25" PhysicalSizeY="0.25"', channels="", prefix=prefix)
    xml = re.sub(rb"<[\w:]*TiffData[^>]*>", b"", xml).replace(b"XYCZT", order.encode())
    with tifffile.TiffWriter(path) as writer:
        for channel in range(3):
            more = {"description": xml} if channel == 0 else {}
            writer.write(RGB[..., channel].copy(), photometric="minisblack", tile=(64, 64), metadata=None, **more)


def lab(bits: int, signed: bool) -> Callable[[Path], object]:
    values = rgb2lab(RGB)
    white, step = ((1 << bits) - 1 if signed or bits == 8 else 0xFF00), 1 << (bits - 8)
    light = np.round(values[..., :1] * white / 100)
    chroma = np.round(values[..., 1:] * step) + (0 if signed else 128 * step)
    stored = np.concatenate([light, np.mod(chroma, 1 << bits)], axis=2).astype(np.uint8 if bits == 8 else np.uint16)
    return tiff(stored, photometric="cielab" if signed else "icclab")


def png(pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> Callable[[Path], object]:
    """A PNG by imagecodecs with chunks before its pixels."""
    content = imagecodecs.png_encode(pixels)
    place = content.index(b"IDAT") - 4
    return lambda path: path.write_bytes(content[:place] + png_chunks(*chunks) + content[place:])


def palette_with_alpha(path: Path) -> None:
    colours, index = INDEXED.getpalette(), np.asarray(INDEXED).copy()
    index[CLEAR] = clear = len(colours) // 3
    made = Image.frombytes("P", INDEXED.size, index.tobytes())
    made.putpalette([*colours, 0, 0, 0])
    made.save(path, transparency=clear)


def colormap(scale: int) -> np.ndarray:
    colours = np.zeros((256, 3), np.uint16)
    found = np.asarray(INDEXED.getpalette(), np.uint16).reshape(-1, 3)
    colours[: len(found)] = found
    return colours.T * scale


def bits(count: int, pixels: np.ndarray = RGB) -> np.ndarray:
    """Pixels in so many bits of 16."""
    return np.round(pixels * (((1 << count) - 1) / 255)).astype(np.uint16)


ON_WHITE = on_white(RGB)
COLOURS: dict[str, tuple] = {
    # colour spaces
    "cmyk.tif": (tiff(CMYK, photometric="separated"), RGB, None, "CMYK", 2),
    "cmyk 16.tif": (tiff(CMYK * np.uint16(257), photometric="separated"), RGB, None, "CMYK", 2),
    "cmyk planar.tif": (
        tiff(np.moveaxis(CMYK, 2, 0).copy(), photometric="separated", planarconfig="separate", tile=(64, 64)),
        RGB, None, "CMYK", 2,
    ),
    "cmyk.jpg": (pillow(Image.fromarray(RGB).convert("CMYK"), quality=100), RGB, None, "CMYK", 12),
    "ycbcr.tif": (tiff(YCBCR, photometric="ycbcr"), RGB, None, "YCbCr", 3),
    "cielab.tif": (lab(8, True), RGB, None, "CIELAB", 4),
    "cielab 16.tif": (lab(16, True), RGB, None, "CIELAB", 1),
    "icclab.tif": (lab(8, False), RGB, None, "L*a*b*", 4),
    "icclab 16.tif": (lab(16, False), RGB, None, "L*a*b*", 1),
    "aperio jpeg 2000.tif": (
        tiff(YCBCR, tile=(64, 64), compression="aperio_jp2000_ycbc", compressionargs={"level": 0, "mct": False}),
        RGB, None, "YCbCr", 3,
    ),
    "jpeg 2000 of bio-formats.ome.tif": (
        tiff(tile=(64, 64), compression=33003, compressionargs={"level": 0, "mct": True}, description=ome_xml("")), RGB
    ),
    "planar.tif": (tiff(np.moveaxis(RGB, 2, 0).copy(), planarconfig="separate"), RGB),
    "picture.png": (pillow(RGB), RGB),
    "picture.jp2": (pillow(RGB), RGB),
    "picture.webp": (pillow(RGB, lossless=True), RGB),
    "a png by content.tif": (png(RGB), RGB),
    "grey.bmp": (pillow(GREY), GREY3, None, "grey image"),
    "min is white.tif": (tiff(255 - GREY, photometric="miniswhite"), GREY3, None, "grey"),
    # depths
    "bits 12.ome.tif": (planes("YXS", bits(12), "rgb", SignificantBits=12), RGB, None, "0 to 4095 as 0 to 255"),
    "bits 12 and dark.ome.tif": (
        planes("YXS", bits(12, RGB // 8), "rgb", SignificantBits=12), RGB // 8, None, "0 to 4095 as 0 to 255"
    ),
    "bits 10.tif": (tiff(bits(10)), RGB, None, "0 to 1023 as 0 to 255"),
    "bits 14 big-endian.tif": (tiff(bits(14), byteorder=">"), RGB, None, "0 to 16383 as 0 to 255"),
    "bits 12 packed.tif": (tiff(bits(12), bitspersample=12), RGB, None, "12 bits converted to 8"),
    "bits 12.png": (png(bits(12)), RGB, None, "0 to 4095 as 0 to 255"),
    "bits 16 of grey.png": (pillow(GREY * np.uint16(257)), GREY3, None, "16 bits"),
    "bits 16.png": (png(bits(16)), RGB, None, "16 bits converted to 8"),
    "bits 12 with alpha.png": (png(np.dstack([bits(12), bits(12, ALPHA)])), ON_WHITE, None, "0 to 4095 as 0 to 255"),
    "bits 12 with alpha.tif": (
        tiff(np.dstack([bits(12), bits(12, ALPHA)]), extrasamples=["unassalpha"]), ON_WHITE, None, "alpha"
    ),
    "bits 12.jp2": (
        lambda path: path.write_bytes(imagecodecs.jpeg2k_encode(bits(12), level=0, codecformat="jp2")),
        RGB, None, "0 to 4095 as 0 to 255",
    ),
    "one bit.tif": (
        tiff(GREY > 150, photometric="minisblack"), np.dstack([(GREY > 150) * np.uint8(255)] * 3), None, "grey"
    ),
    # orientation
    **{
        f"turned {tag}.jpg": (
            pillow(oriented(RGB, tag), quality=98, subsampling=0, exif=exif(tag)), RGB, None, TURNED, 12
        )
        for tag in range(2, 9)
    },
    **{
        f"turned {tag} in tiles.tif": (
            tiff(oriented(RGB, tag), tile=(32, 32), resolution=(40_000, 20_000), extratags=[(274, "H", 1, tag)], **CM),
            RGB, (0.25, 0.5) if tag > 4 else (0.5, 0.25), TURNED,
        )
        for tag in range(2, 9)
    },
    "turned.png": (pillow(oriented(RGB, 6), exif=exif(6)), RGB, None, TURNED),
    "turned.webp": (pillow(oriented(RGB, 8), lossless=True, exif=exif(8)), RGB, None, TURNED),
    "turned without meaning.tif": (tiff(extratags=[(274, "H", 1, 99)]), RGB),
    "broken exif.jpg": (pillow(RGB, quality=98, subsampling=0, exif=b"Exif\0\0rubbish"), RGB, None, "", 12),
    # palettes
    "palette.png": (pillow(INDEXED), FEW, None, "palette"),
    "palette.bmp": (pillow(INDEXED), FEW, None, "palette"),
    "palette.tif": (tiff(np.asarray(INDEXED), photometric="palette", colormap=colormap(257)), FEW, None, "palette"),
    "palette of 8 bits.tif": (
        tiff(np.asarray(INDEXED), photometric="palette", colormap=colormap(1)), FEW, None, "palette"
    ),
    "palette by pillow.tif": (pillow(INDEXED), FEW, None, "palette"),
    "palette of 16.png": (pillow(SIXTEEN, bits=4), np.asarray(SIXTEEN.convert("RGB")), None, "palette"),
    "palette with alpha.png": (palette_with_alpha, on_white(FEW), None, "palette"),
    # transparency
    "transparent.png": (pillow(np.dstack([ON_BLACK, ALPHA])), ON_WHITE, None, "alpha"),
    "transparent grey.png": (pillow(np.dstack([GREY, ALPHA])), on_white(GREY3), None, "alpha"),
    "transparent colour.png": (
        png(np.where(CLEAR[:, :, None], (1, 2, 3), RGB).astype(np.uint8), (b"tRNS", struct.pack(">HHH", 1, 2, 3))),
        ON_WHITE, None, "alpha",
    ),
    "transparent.webp": (pillow(np.dstack([RGB, ALPHA]), lossless=True, exact=True), ON_WHITE, None, "alpha"),
    "transparent.tif": (
        tiff(np.dstack([RGB, ALPHA]), tile=(32, 32), extrasamples=["unassalpha"]),
        ON_WHITE, None, "alpha blended with white",
    ),
    "premultiplied.tif": (tiff(np.dstack([ON_BLACK, ALPHA]), extrasamples=["assocalpha"]), ON_WHITE, None, "alpha"),
    "opaque.png": (pillow(np.dstack([RGB, np.full_like(GREY, 255)])), RGB),
    "fourth sample.tif": (
        tiff(np.dstack([RGB, ALPHA]), extrasamples=["unspecified"]), RGB, None, "a further sample of unknown meaning"
    ),
    # planes
    "planes without TiffData.ome.tif": (planes_without_tiffdata, RGB, FINE, "three channels interpreted as RGB"),
    "planes with a prefix.ome.tif": (partial(planes_without_tiffdata, prefix="OME"), RGB, FINE, "three channels"),
    "planes in another order.ome.tif": (partial(planes_without_tiffdata, order="XYZTC"), RGB, FINE, "three channels"),
    "planes.ome.tif": (planes("CYX", np.moveaxis(RGB, 2, 0).copy(), PhysicalSizeX=0.5), RGB, HALF, "three channels"),
    "three samples of grey.tif": (tiff(photometric="minisblack", planarconfig="contig"), RGB, None, "three channels"),
    "focus.ome.tif": (
        planes("ZYX", np.stack([GREY // 3, GREY // 2, GREY, GREY // 4, GREY // 5])),
        GREY3, None, "plane 2 of 5 (axis Z)",
    ),
    "focus in um.tif": (
        imagej("um", 2, np.stack([RGB // 2, RGB, RGB // 3]), axes="ZYXS"), RGB, HALF, "plane 1 of 3 (axis Z)"
    ),
    "times.tif": (
        tiff(np.stack([GREY, GREY // 2]), photometric=None, imagej=True, metadata={"axes": "TYX"}),
        GREY3, None, "plane 0 of 2 (axis T)",
    ),
    "focus of colours.ome.tif": (
        planes("ZYXS", np.stack([RGB // 2, RGB, RGB // 3]), "rgb"), RGB, None, "plane 1 of 3 (axis Z)"
    ),
    "focus and channels.ome.tif": (
        planes("ZCYX", np.stack([np.moveaxis(RGB // k, 2, 0) for k in (3, 1, 2)])), RGB, None, "plane 1 of 3 (axis Z)"
    ),
}  # fmt: skip
