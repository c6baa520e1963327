"""Files of which programs say the size of pixels in their own way, or that hold several images."""

import numpy as np
from people_writers import CM, OTHER, RGB, SMALL, PeopleFile, imagej, ome, ome_images, ome_xml, pages, tiff

HALF = (0.5, 0.5)
FINE = (0.25, 0.25)
TURNED = "turned upright"
LEFT_OUT = "series chooses another"

SIZES: dict[str, PeopleFile] = {
    # ImageJ says the unit itself
    "imagej um.tif": PeopleFile(imagej("um", 2), RGB, HALF),
    "imagej micron.tif": PeopleFile(imagej("micron", 2), RGB, HALF),
    "imagej microns.tif": PeopleFile(imagej("microns", 2), RGB, HALF),
    "imagej escaped.tif": PeopleFile(imagej("\\u00B5m", 2), RGB, HALF),
    "imagej cm.tif": PeopleFile(imagej("cm", 20_000), RGB, HALF),
    "imagej mm.tif": PeopleFile(imagej("mm", 2_000), RGB, HALF),
    "imagej inch.tif": PeopleFile(imagej("inch", 50_800), RGB, HALF),
    "imagej nm.tif": PeopleFile(imagej("nm", 0.002), RGB, HALF),
    "imagej two units.tif": PeopleFile(imagej("um", 2, yunit="mm"), RGB, None, "not plausible"),
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
        ome("1", "pixel", resolution=(20_000, 20_000), **CM), RGB, HALF, "'pixel', which is no unit of length"
    ),
    "ome silent and tags.ome.tif": PeopleFile(
        tiff(description=ome_xml(""), resolution=(20_000, 20_000), **CM), RGB, HALF
    ),
    "ome against tags.ome.tif": PeopleFile(
        ome("0.5", "&#181;m", resolution=(40_000, 40_000), **CM),
        RGB, HALF, "OME: 0.5 µm per pixel, used; the TIFF tags: 0.25",
    ),
    "ome cannot be.ome.tif": PeopleFile(
        ome("0.5", "mm", resolution=(20_000, 20_000), **CM), RGB, HALF, "OME: 500 µm per pixel is not plausible"
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
}  # fmt: skip
