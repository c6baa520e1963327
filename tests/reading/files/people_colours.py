"""Files whose samples, depth, orientation, palette, transparency or planes have to be understood."""

import struct

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
    RGB,
    PeopleFile,
    bits,
    colormap,
    exif,
    lab,
    old_alpha,
    ome_xml,
    oriented,
    palette_with_alpha,
    pillow,
    planes,
    planes_without_tiffdata,
    png,
    tiff,
)
from PIL import Image

HALF = (0.5, 0.5)
FINE = (0.25, 0.25)
TURNED = "turned upright"
LEFT_OUT = "series chooses another"

COLOURS: dict[str, PeopleFile] = {
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
    "bits 12 packed.tif": PeopleFile(tiff(bits(12), bitspersample=12), RGB, None, "12 bits converted to 8"),
    "bits 12.png": PeopleFile(png(bits(12)), RGB, None, "0 to 4095 as 0 to 255"),
    "bits 16.png": PeopleFile(png(bits(16)), RGB, None, "16 bits converted to 8"),
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
        planes_without_tiffdata, RGB, FINE, "three channels interpreted as RGB"
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
