"""Images as people's programs write them: what each has to look like, how large its pixels are, and what is said."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import tifffile
from people_writers import (
    ALPHA,
    CLEAR,
    CM,
    FEW,
    GREY,
    GREY3,
    INDEXED,
    ON_WHITE,
    OTHER,
    RGB,
    SMALL,
    Pixels,
    bits,
    colormap,
    exif,
    imagej,
    lab,
    old_alpha,
    ome,
    ome_images,
    ome_xml,
    oriented,
    pages,
    palette_with_alpha,
    pillow,
    planes,
    planes_without_tiffdata,
    png,
    tiff,
)
from PIL import Image


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


HALF = (0.5, 0.5)
FINE = (0.25, 0.25)
TURNED = "turned to be upright"
LEFT_OUT = "series chooses another"

FILES: dict[str, PeopleFile] = {
    # ImageJ says the unit itself
    "imagej um.tif": PeopleFile(imagej("um", 2), RGB, HALF),
    "imagej micron.tif": PeopleFile(imagej("micron", 2), RGB, HALF),
    "imagej microns.tif": PeopleFile(imagej("microns", 2), RGB, HALF),
    "imagej escaped.tif": PeopleFile(imagej("\\u00B5m", 2), RGB, HALF),
    "imagej cm.tif": PeopleFile(imagej("cm", 20_000), RGB, HALF),
    "imagej mm.tif": PeopleFile(imagej("mm", 2_000), RGB, HALF),
    "imagej inch.tif": PeopleFile(imagej("inch", 50_800), RGB, HALF),
    "imagej nm.tif": PeopleFile(imagej("nm", 0.002), RGB, HALF),
    "imagej two units.tif": PeopleFile(imagej("um", 2, yunit="mm"), RGB, None, "cannot be"),
    "imagej pixel.tif": PeopleFile(imagej("pixel", 1), RGB, None),
    # units of OME, in any valid spelling
    "ome micro sign.ome.tif": PeopleFile(ome("0.5", "&#181;m"), RGB, HALF),
    "ome hexadecimal.ome.tif": PeopleFile(ome("0.5", "&#xB5;m"), RGB, HALF),
    "ome greek mu.ome.tif": PeopleFile(ome("0.5", "&#x3BC;m"), RGB, HALF),
    "ome default unit.ome.tif": PeopleFile(ome("0.5", None), RGB, HALF),
    "ome prefix.ome.tif": PeopleFile(ome("500", "nm", prefix="ome"), RGB, HALF),
    "ome angstrom.ome.tif": PeopleFile(ome("5000", "&#197;"), RGB, HALF),
    "ome exponent.ome.tif": PeopleFile(ome("5.0E-7", "m"), RGB, HALF),
    "ome thou.ome.tif": PeopleFile(ome("0.01968503937", "thou"), RGB, HALF),
    "ome apostrophes.ome.tif": PeopleFile(
        tiff(description=ome_xml("PhysicalSizeX='0.5' PhysicalSizeY='0.5' PhysicalSizeYUnit='&#181;m'")), RGB, HALF
    ),
    "ome pixel and tags.ome.tif": PeopleFile(
        ome("1", "pixel", resolution=(20_000, 20_000), **CM), RGB, HALF, "'pixel', which is no length"
    ),
    "ome silent and tags.ome.tif": PeopleFile(
        tiff(description=ome_xml(""), resolution=(20_000, 20_000), **CM), RGB, HALF
    ),
    "ome against tags.ome.tif": PeopleFile(
        ome("0.5", "&#181;m", resolution=(40_000, 40_000), **CM),
        RGB, HALF, "OME: 0.5 µm per pixel, used; the TIFF tags: 0.25",
    ),
    "ome cannot be.ome.tif": PeopleFile(
        ome("0.5", "mm", resolution=(20_000, 20_000), **CM), RGB, HALF, "OME: 500 µm per pixel cannot be"
    ),
    "ome broken.ome.tif": PeopleFile(
        tiff(description=b"<?xml version='1.0'?><OME><Image></OME>", resolution=(20_000, 20_000), **CM),
        RGB, HALF, "XML of OME cannot be read",
    ),
    # tags
    "tags inch.tif": PeopleFile(tiff(resolution=(50_800, 50_800), resolutionunit="INCH"), RGB, HALF),
    "tags micrometre.tif": PeopleFile(tiff(resolution=(2, 2), resolutionunit="MICROMETER"), RGB, HALF),
    "tags of a screen.tif": PeopleFile(tiff(resolution=(72, 72), resolutionunit="INCH"), RGB, None),
    "tags not square.tif": PeopleFile(tiff(resolution=(20_000, 40_000), **CM), RGB, (0.25, 0.5), "not square"),
    "aperio comma.tif": PeopleFile(tiff(description="Aperio Image Library |AppMag = 20|MPP = 0,5"), RGB, HALF),
    # a thumbnail before the scan
    "thumbnail first.tif": PeopleFile(pages((SMALL, 2.0, {}), (RGB, 0.25, {"tile": (64, 64)})), RGB, FINE),
    "thumbnail last.tif": PeopleFile(pages((RGB, 0.25, {}), (SMALL, 2.0, {"subfiletype": 1})), RGB, FINE),
    "thumbnail without size.tif": PeopleFile(pages((SMALL, None, {}), (RGB, 0.25, {})), RGB, FINE),
    "thumbnail of another shape.tif": PeopleFile(
        pages((SMALL[:, :9].copy(), 2.0, {}), (RGB, 0.25, {})), RGB, FINE, LEFT_OUT
    ),
    "thumbnail in grey.tif": PeopleFile(
        pages((SMALL[:, :, 0].copy(), 2.0, {"photometric": "minisblack"}), (RGB, 0.25, {})), RGB, FINE, LEFT_OUT
    ),
    "thumbnail between levels.tif": PeopleFile(
        pages((RGB, 0.25, {}), (SMALL, 9.0, {}), (RGB[::2, ::2].copy(), 0.5, {})), RGB, FINE, LEFT_OUT
    ),
    # a macro or a label picture before the scan
    "macro first.ome.tif": PeopleFile(ome_images((SMALL, "", 2.0), (RGB, "", 0.25)), RGB, FINE, LEFT_OUT),
    "macro named.ome.tif": PeopleFile(
        ome_images((np.zeros((200, 200, 3), np.uint8), "macro image", 9.0), (RGB, "scan", 0.25)),
        RGB, FINE, "macro image",
    ),
    "label named.ome.tif": PeopleFile(
        ome_images((RGB, "Slide 7", 0.25), (np.zeros((200, 200, 3), np.uint8), "label image", 9.0)), RGB, FINE, LEFT_OUT
    ),
    "macro described.tif": PeopleFile(
        pages((np.zeros((200, 200, 3), np.uint8), 9.0, {"description": "macro 200x200"}), (RGB, 0.25, {})),
        RGB, FINE, LEFT_OUT,
    ),
    "fields.ome.tif": PeopleFile(
        ome_images((RGB, "A1", 0.25), (RGB[::-1].copy(), "A2", 0.25), (RGB[:, ::-1].copy(), "A3", 0.25)),
        RGB, FINE, "image 0 (A1, 128 x 96) of 3; left out: 1 (A2, 128 x 96), 2 (A3, 128 x 96)",
    ),
    "another picture of its shape.tif": PeopleFile(
        pages((RGB, 0.25, {}), (np.ascontiguousarray(RGB[::-2, ::-2]), 0.5, {})), RGB, FINE, "no levels of the scan"
    ),
    "a scan with a label.tif": PeopleFile(
        pages((RGB, 0.25, {"description": "Slide scan; label: A12-345; 20x"}), (OTHER[:, :100].copy(), 9.0, {})),
        RGB, FINE, LEFT_OUT,
    ),
    "macro larger.tif": PeopleFile(pages((OTHER[:, :100].copy(), 9.0, {}), (RGB, 0.25, {})), RGB, FINE, LEFT_OUT),
    # colour spaces
    "cmyk.tif": PeopleFile(
        tiff(np.asarray(Image.fromarray(RGB).convert("CMYK")), photometric="separated"), RGB, None, "CMYK", 2
    ),
    "cmyk 16.tif": PeopleFile(
        tiff(np.asarray(Image.fromarray(RGB).convert("CMYK")) * np.uint16(257), photometric="separated"),
        RGB, None, "CMYK", 2,
    ),
    "cmyk planar.tif": PeopleFile(
        tiff(
            np.moveaxis(np.asarray(Image.fromarray(RGB).convert("CMYK")), 2, 0).copy(),
            photometric="separated", planarconfig="separate", tile=(64, 64),
        ),
        RGB, None, "CMYK", 2,
    ),
    "cmyk.jpg": PeopleFile(pillow(Image.fromarray(RGB).convert("CMYK"), quality=100), RGB, None, "CMYK", 12),
    "ycbcr.tif": PeopleFile(
        tiff(np.asarray(Image.fromarray(RGB).convert("YCbCr")), photometric="ycbcr"), RGB, None, "YCbCr", 3
    ),
    "cielab.tif": PeopleFile(lab(8, True), RGB, None, "CIELAB", 4),
    "cielab 16.tif": PeopleFile(lab(16, True), RGB, None, "CIELAB", 1),
    "icclab.tif": PeopleFile(lab(8, False), RGB, None, "L*a*b*", 4),
    "icclab 16.tif": PeopleFile(lab(16, False), RGB, None, "L*a*b*", 1),
    "aperio jpeg 2000.tif": PeopleFile(
        tiff(
            np.asarray(Image.fromarray(RGB).convert("YCbCr")), photometric="rgb", tile=(64, 64),
            compression="aperio_jp2000_ycbc", compressionargs={"level": 0, "mct": False},
        ),
        RGB, None, "YCbCr", 3,
    ),
    "jpeg 2000 of bio-formats.ome.tif": PeopleFile(
        tiff(tile=(64, 64), compression=33003, compressionargs={"level": 0, "mct": True}, description=ome_xml("")), RGB
    ),
    "planar.tif": PeopleFile(tiff(np.moveaxis(RGB, 2, 0).copy(), planarconfig="separate"), RGB),
    "picture.jp2": PeopleFile(pillow(RGB), RGB),
    "picture.webp": PeopleFile(pillow(RGB, lossless=True), RGB),
    "a png by content.tif": PeopleFile(png(RGB), RGB),
    "min is white.tif": PeopleFile(tiff(255 - GREY, photometric="miniswhite"), GREY3, None, "grey"),
    # depths
    "bits 12.ome.tif": PeopleFile(
        lambda path: tifffile.imwrite(
            path, bits(12), photometric="rgb", ome=True, metadata={"axes": "YXS", "SignificantBits": 12}
        ),
        RGB, None, "0 to 4095 as 0 to 255",
    ),
    "bits 12 and dark.ome.tif": PeopleFile(
        lambda path: tifffile.imwrite(
            path, bits(12, RGB // 8), photometric="rgb", ome=True, metadata={"axes": "YXS", "SignificantBits": 12}
        ),
        RGB // 8, None, "0 to 4095 as 0 to 255",
    ),
    "bits 10.tif": PeopleFile(tiff(bits(10)), RGB, None, "0 to 1023 as 0 to 255"),
    "bits 14 big-endian.tif": PeopleFile(tiff(bits(14), byteorder=">"), RGB, None, "0 to 16383 as 0 to 255"),
    "bits 12 packed.tif": PeopleFile(tiff(bits(12), bitspersample=12), RGB, None, "12 bits brought to 8"),
    "bits 12.png": PeopleFile(png(bits(12)), RGB, None, "0 to 4095 as 0 to 255"),
    "bits 16.png": PeopleFile(png(bits(16)), RGB, None, "16 bits brought to 8"),
    "bits 12 with alpha.png": PeopleFile(
        png(np.dstack([bits(12), bits(12, ALPHA)])), ON_WHITE, None, "0 to 4095 as 0 to 255"
    ),
    "bits 12 with alpha.tif": PeopleFile(
        tiff(np.dstack([bits(12), bits(12, ALPHA)]), extrasamples=["unassalpha"]), ON_WHITE, None, "alpha"
    ),
    "bits 12.jp2": PeopleFile(
        lambda path: path.write_bytes(imagecodecs.jpeg2k_encode(bits(12), level=0, codecformat="jp2")),
        RGB, None, "0 to 4095 as 0 to 255",
    ),
    "one bit.tif": PeopleFile(
        tiff(GREY > 150, photometric="minisblack"), np.dstack([(GREY > 150) * np.uint8(255)] * 3), None, "grey"
    ),
    # orientation
    **{
        f"turned {tag}.jpg": PeopleFile(
            pillow(oriented(RGB, tag), quality=98, subsampling=0, exif=exif(tag)), RGB, None, TURNED, 12
        )
        for tag in range(2, 9)
    },
    **{
        f"turned {tag} in tiles.tif": PeopleFile(
            tiff(
                oriented(RGB, tag), tile=(32, 32), resolution=(40_000, 20_000), extratags=[(274, "H", 1, tag)], **CM
            ),
            RGB, (0.25, 0.5) if tag > 4 else (0.5, 0.25), TURNED,
        )
        for tag in range(2, 9)
    },
    "turned.png": PeopleFile(pillow(oriented(RGB, 6), exif=exif(6)), RGB, None, TURNED),
    "turned.webp": PeopleFile(pillow(oriented(RGB, 8), lossless=True, exif=exif(8)), RGB, None, TURNED),
    "turned without meaning.tif": PeopleFile(tiff(extratags=[(274, "H", 1, 99)]), RGB),
    "broken exif.jpg": PeopleFile(pillow(RGB, quality=98, subsampling=0, exif=b"Exif\0\0rubbish"), RGB, None, "", 12),
    # palettes
    "palette.png": PeopleFile(pillow(INDEXED), FEW, None, "palette"),
    "palette.bmp": PeopleFile(pillow(INDEXED), FEW, None, "palette"),
    "palette.tif": PeopleFile(
        tiff(np.asarray(INDEXED), photometric="palette", colormap=colormap(257)), FEW, None, "palette"
    ),
    "palette of 8 bits.tif": PeopleFile(
        tiff(np.asarray(INDEXED), photometric="palette", colormap=colormap(1)), FEW, None, "palette"
    ),
    "palette by pillow.tif": PeopleFile(pillow(INDEXED), FEW, None, "palette"),
    "palette of 16.png": PeopleFile(
        pillow(Image.fromarray(RGB).quantize(16), bits=4),
        np.asarray(Image.fromarray(RGB).quantize(16).convert("RGB")), None, "palette",
    ),
    "palette with alpha.png": PeopleFile(
        palette_with_alpha, np.where(CLEAR[:, :, None], 255, FEW).astype(np.uint8), None, "palette"
    ),
    # transparency
    "transparent.png": PeopleFile(
        pillow(np.dstack([np.where(CLEAR[:, :, None], 0, RGB).astype(np.uint8), ALPHA])), ON_WHITE, None, "alpha"
    ),
    "transparent grey.png": PeopleFile(
        pillow(np.dstack([GREY, ALPHA])), np.where(CLEAR[:, :, None], 255, GREY3).astype(np.uint8), None, "alpha"
    ),
    "transparent colour.png": PeopleFile(
        png(np.where(CLEAR[:, :, None], (1, 2, 3), RGB).astype(np.uint8), (b"tRNS", struct.pack(">HHH", 1, 2, 3))),
        ON_WHITE, None, "alpha",
    ),
    "transparent.webp": PeopleFile(pillow(np.dstack([RGB, ALPHA]), lossless=True, exact=True), ON_WHITE, None, "alpha"),
    "transparent.tif": PeopleFile(tiff(np.dstack([RGB, ALPHA]), extrasamples=["unassalpha"]), ON_WHITE, None, "alpha"),
    "premultiplied.tif": PeopleFile(old_alpha, ON_WHITE, None, "alpha"),
    "opaque.png": PeopleFile(pillow(np.dstack([RGB, np.full_like(GREY, 255)])), RGB),
    "fourth sample.tif": PeopleFile(
        tiff(np.dstack([RGB, ALPHA]), extrasamples=["unspecified"]), RGB, None, "a further sample of unknown meaning"
    ),
    # planes
    "planes without TiffData.ome.tif": PeopleFile(
        planes_without_tiffdata, RGB, FINE, "three channels taken as red, green and blue"
    ),
    "planes with a prefix.ome.tif": PeopleFile(
        lambda path: planes_without_tiffdata(path, prefix="OME"), RGB, FINE, "three channels"
    ),
    "planes in another order.ome.tif": PeopleFile(
        lambda path: planes_without_tiffdata(path, "XYZTC"), RGB, FINE, "three channels"
    ),
    "planes.ome.tif": PeopleFile(
        planes("CYX", np.moveaxis(RGB, 2, 0).copy(), PhysicalSizeX=0.5), RGB, HALF, "three channels"
    ),
    "three samples of grey.tif": PeopleFile(
        tiff(photometric="minisblack", planarconfig="contig"), RGB, None, "three channels"
    ),
    "focus.ome.tif": PeopleFile(
        planes("ZYX", np.stack([GREY // 3, GREY // 2, GREY, GREY // 4, GREY // 5])),
        GREY3, None, "plane 2 of 5 (axis Z)",
    ),
    "focus in um.tif": PeopleFile(
        lambda path: tifffile.imwrite(
            path, np.stack([RGB // 2, RGB, RGB // 3]), imagej=True, resolution=(2, 2),
            metadata={"axes": "ZYXS", "unit": "um"},
        ),
        RGB, HALF, "plane 1 of 3 (axis Z)",
    ),
    "times.tif": PeopleFile(
        lambda path: tifffile.imwrite(
            path, np.stack([GREY, GREY // 2]), imagej=True, metadata={"axes": "TYX"}
        ),
        GREY3, None, "plane 0 of 2 (axis T)",
    ),
    "focus of colours.ome.tif": PeopleFile(
        lambda path: tifffile.imwrite(
            path, np.stack([RGB // 2, RGB, RGB // 3]), photometric="rgb", ome=True, metadata={"axes": "ZYXS"}
        ),
        RGB, None, "plane 1 of 3 (axis Z)",
    ),
    "focus and channels.ome.tif": PeopleFile(
        planes("ZCYX", np.stack([np.moveaxis(RGB // k, 2, 0) for k in (3, 1, 2)])), RGB, None, "plane 1 of 3 (axis Z)"
    ),
}  # fmt: skip
