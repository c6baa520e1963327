"""Files of which programs say the size of pixels in their own way, or that hold several images."""

import numpy as np
from people_writers import CM, FINE, HALF, OTHER, RGB, SMALL, imagej, ome, ome_images, ome_xml, pages, tiff

LEFT_OUT = "series chooses another"
MACRO = np.zeros((200, 200, 3), np.uint8)

SIZES: dict[str, tuple] = {
    # ImageJ says the unit itself
    "imagej um.tif": (imagej("um", 2), RGB, HALF),
    "imagej micron.tif": (imagej("micron", 2), RGB, HALF),
    "imagej microns.tif": (imagej("microns", 2), RGB, HALF),
    "imagej escaped.tif": (imagej("\\u00B5m", 2), RGB, HALF),
    "imagej cm.tif": (imagej("cm", 20_000), RGB, HALF),
    "imagej mm.tif": (imagej("mm", 2_000), RGB, HALF),
    "imagej inch.tif": (imagej("inch", 50_800), RGB, HALF),
    "imagej nm.tif": (imagej("nm", 0.002), RGB, HALF),
    "imagej two units.tif": (imagej("um", 2, yunit="mm"), RGB, None, "not plausible"),
    "imagej pixel.tif": (imagej("pixel", 1), RGB, None),
    # units of OME, in any valid spelling
    "ome micro sign.ome.tif": (ome("0.5", "&#181;m"), RGB, HALF),
    "ome hexadecimal.ome.tif": (ome("0.5", "&#xB5;m"), RGB, HALF),
    "ome greek mu.ome.tif": (ome("0.5", "&#x3BC;m"), RGB, HALF),
    "ome default unit.ome.tif": (ome("0.5", None), RGB, HALF),
    "ome prefix.ome.tif": (ome("500", "nm", prefix="ome"), RGB, HALF),
    "ome angstrom.ome.tif": (ome("5000", "&#197;"), RGB, HALF),
    "ome exponent.ome.tif": (ome("5.0E-7", "m"), RGB, HALF),
    "ome thou.ome.tif": (ome("0.01968503937", "thou"), RGB, HALF),
    "ome apostrophes.ome.tif": (
        tiff(description=ome_xml("PhysicalSizeX='0.5' PhysicalSizeY='0.5' PhysicalSizeYUnit='&#181;m'")), RGB, HALF
    ),
    "ome pixel and tags.ome.tif": (
        ome("1", "pixel", resolution=(20_000, 20_000), **CM), RGB, HALF, "'pixel', which is no unit of length"
    ),
    "ome silent and tags.ome.tif": (tiff(description=ome_xml(""), resolution=(20_000, 20_000), **CM), RGB, HALF),
    "ome against tags.ome.tif": (
        ome("0.5", "&#181;m", resolution=(40_000, 40_000), **CM),
        RGB, HALF, "OME: 0.5 µm per pixel, used; the TIFF tags: 0.25",
    ),
    "ome cannot be.ome.tif": (
        ome("0.5", "mm", resolution=(20_000, 20_000), **CM), RGB, HALF, "OME: 500 µm per pixel is not plausible"
    ),
    "ome broken.ome.tif": (
        tiff(description=b"<?xml version='1.0'?><OME><Image></OME>", resolution=(20_000, 20_000), **CM),
        RGB, HALF, "XML of OME cannot be read",
    ),
    # tags
    "tags inch.tif": (tiff(resolution=(50_800, 50_800), resolutionunit="INCH"), RGB, HALF),
    "tags micrometre.tif": (tiff(resolution=(2, 2), resolutionunit="MICROMETER"), RGB, HALF),
    "tags of a screen.tif": (tiff(resolution=(72, 72), resolutionunit="INCH"), RGB, None),
    "tags of a screen in cm.tif": (tiff(resolution=(28.35, 28.35), **CM), RGB, None),
    "tags not square.tif": (tiff(resolution=(20_000, 40_000), **CM), RGB, (0.25, 0.5), "not square"),
    "aperio comma.tif": (tiff(description="Aperio Image Library |AppMag = 20|MPP = 0,5"), RGB, HALF),
    # a thumbnail before the scan
    "thumbnail first.tif": (pages((SMALL, 2.0, {}), (RGB, 0.25, {"tile": (64, 64)})), RGB, FINE),
    "thumbnail last.tif": (pages((RGB, 0.25, {}), (SMALL, 2.0, {"subfiletype": 1})), RGB, FINE),
    "thumbnail without size.tif": (pages((SMALL, None, {}), (RGB, 0.25, {})), RGB, FINE),
    "thumbnail of another shape.tif": (pages((SMALL[:, :9].copy(), 2.0, {}), (RGB, 0.25, {})), RGB, FINE, LEFT_OUT),
    "thumbnail in grey.tif": (
        pages((SMALL[:, :, 0].copy(), 2.0, {"photometric": "minisblack"}), (RGB, 0.25, {})), RGB, FINE, LEFT_OUT
    ),
    "thumbnail between levels.tif": (
        pages((RGB, 0.25, {}), (SMALL, 9.0, {}), (RGB[::2, ::2].copy(), 0.5, {})), RGB, FINE, LEFT_OUT
    ),
    # a macro or a label picture before the scan
    "macro first.ome.tif": (ome_images((SMALL, "", 2.0), (RGB, "", 0.25)), RGB, FINE, LEFT_OUT),
    "macro named.ome.tif": (ome_images((MACRO, "macro image", 9.0), (RGB, "scan", 0.25)), RGB, FINE, "macro image"),
    "label named.ome.tif": (ome_images((RGB, "Slide 7", 0.25), (MACRO, "label image", 9.0)), RGB, FINE, LEFT_OUT),
    "macro described.tif": (
        pages((MACRO, 9.0, {"description": "macro 200x200"}), (RGB, 0.25, {})), RGB, FINE, LEFT_OUT
    ),
    "fields.ome.tif": (
        ome_images((RGB, "A1", 0.25), (RGB[::-1].copy(), "A2", 0.25), (RGB[:, ::-1].copy(), "A3", 0.25)),
        RGB, FINE, "image 0 (A1, 128 x 96) of 3; left out: 1 (A2, 128 x 96), 2 (A3, 128 x 96)",
    ),
    "another picture of its shape.tif": (
        pages((RGB, 0.25, {}), (np.ascontiguousarray(RGB[::-2, ::-2]), 0.5, {})), RGB, FINE, "no levels of the scan"
    ),
    "a scan with a label.tif": (
        pages((RGB, 0.25, {"description": "Slide scan; label: A12-345; 20x"}), (OTHER[:, :100].copy(), 9.0, {})),
        RGB, FINE, LEFT_OUT,
    ),
    "macro larger.tif": (pages((OTHER[:, :100].copy(), 9.0, {}), (RGB, 0.25, {})), RGB, FINE, LEFT_OUT),
}  # fmt: skip
