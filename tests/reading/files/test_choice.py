"""Which image and plane of a file is read, and what is refused by name."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from layouts import write_medical
from people_files import FILES
from people_writers import ALPHA, GREY, RGB, exif, oriented, pages, pillow, planes, tiff
from PIL import Image
from slide_files import png_chunks

from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.raster import read_image, read_label, read_raster
from monai_seunet.reading.slide import Choice
from monai_seunet.utils.errors import InputError

STACK = np.stack([GREY // 3, GREY // 2, GREY, GREY // 4, GREY // 5])


@pytest.mark.parametrize("series", [0, 1, 2])
def test_another_image_is_read_where_it_is_asked_for(tmp_path, series):
    FILES["fields.ome.tif"].write(tmp_path / "a.ome.tif")
    expected = (RGB, RGB[::-1], RGB[:, ::-1])[series]
    read = read_image(tmp_path / "a.ome.tif", choice=Choice(series))
    assert np.array_equal(read.pixels, expected) and read.pixel_size == (0.25, 0.25)


@pytest.mark.parametrize("plane", range(5))
def test_another_plane_is_read_where_it_is_asked_for(tmp_path, plane):
    planes("ZYX", STACK)(tmp_path / "a.ome.tif")
    for read in (read_image, read_raster):
        assert np.array_equal(read(tmp_path / "a.ome.tif", choice=Choice(plane=plane)).pixels, STACK[plane])


@pytest.mark.parametrize("axes", ["TZCYX", "ZTCYX", "CZTYX"])
def test_a_plane_of_several_axes_is_the_one_that_its_number_says(tmp_path, axes):
    shape = [{"T": 2, "Z": 3, "C": 2}[axis] for axis in axes[:3]]
    stack = np.random.default_rng(0).integers(0, 255, (*shape, 20, 30), np.uint8)
    planes(axes, stack)(tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff_file:
        stored = tiff_file.series[0].asarray().reshape(12, 20, 30)
    for plane in (0, 5, 11):
        assert np.array_equal(read_image(tmp_path / "a.ome.tif", choice=Choice(plane=plane)).pixels, stored[plane])


def test_a_volume_of_medicine_gives_its_middle_or_the_plane_that_is_asked_for(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_medical(path, STACK)
    middle = read_image(path)
    assert np.array_equal(middle.pixels, GREY) and any("plane 2 of 5" in note for note in middle.notes)
    assert np.array_equal(read_image(path, choice=Choice(plane=4)).pixels, STACK[4])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(3), "series is 3; the file has 3 image"),
        (Choice(0, 9), "plane is 9; the image has 1"),
        (Choice(-1), "series is -1"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path, choice, message):
    FILES["fields.ome.tif"].write(tmp_path / "a.ome.tif")
    with pytest.raises(InputError, match=message):
        open_slide(tmp_path / "a.ome.tif", choice)


def test_a_thumbnail_may_be_asked_for(tmp_path):
    pages((RGB[::8, ::8].copy(), 2.0, {}), (RGB, 0.25, {}))(tmp_path / "a.tif")
    read = read_image(tmp_path / "a.tif", choice=Choice(0))
    assert np.array_equal(read.pixels, RGB[::8, ::8]) and read.pixel_size == (2.0, 2.0)


REFUSED = {
    "float.tif": (tiff(RGB.astype(np.float32)), "float32 are no colours"),
    "signed.tif": (tiff(RGB.astype(np.int32)), "int32 are no colours"),
    "four of grey.tif": (
        tiff(np.dstack([GREY] * 4), photometric="minisblack", planarconfig="contig"),
        "4 channels of MINISBLACK",
    ),
    "five samples.tif": (tiff(np.dstack([RGB, ALPHA, ALPHA])), "5 channels of RGB"),
    "inks.tif": (
        tiff(np.dstack([RGB, GREY]), photometric="separated", extratags=[(332, "H", 1, 2)]),
        "four inks that are not CMYK",
    ),
    "raw.tif": (tiff(GREY, photometric="cfa"), "CFA"),
    "fluorescence.ome.tif": (
        planes("CYX", STACK[:4], Channel={"Name": ["DAPI", "FITC", "Cy3", "Cy5"]}),
        r"4 channels \(DAPI, FITC, Cy3, Cy5\) are no colours; give plane",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_colour_is_refused_by_name(tmp_path, name):
    write, message = REFUSED[name]
    write(tmp_path / name)
    for read in (open_slide, read_image):
        with pytest.raises(InputError, match=message) as caught:
            read(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)


def test_a_channel_of_fluorescence_is_read_where_it_is_asked_for(tmp_path):
    REFUSED["fluorescence.ome.tif"][0](tmp_path / "a.ome.tif")
    assert np.array_equal(read_image(tmp_path / "a.ome.tif", choice=Choice(plane=2)).pixels, STACK[2])
    assert read_raster(tmp_path / "a.ome.tif").pixels.shape == (*GREY.shape, 4), "maps keep all of them"


def two_bits(label):
    """A grey PNG of two bits a sample, which Pillow does not write."""
    packed = label.reshape(len(label), -1, 4) @ np.array([64, 16, 4, 1])
    lines = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", label.shape[1], len(label), 2, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunks((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))


LABEL = (GREY < 120).astype(np.uint8) * 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_label_is_turned_as_its_image(tmp_path, orientation):
    stored = oriented(LABEL, orientation)
    tiff(stored, photometric="minisblack", extratags=[(274, "H", 1, orientation)])(tmp_path / "a.tif")
    pillow(stored, exif=exif(orientation))(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        assert np.array_equal(read_label(tmp_path / name), LABEL), name


def test_a_label_keeps_its_numbers(tmp_path):
    indexed = Image.fromarray(LABEL).convert("P")
    indexed.putpalette([255, 255, 255, 10, 20, 30, 0, 0, 0, 200, 0, 0])
    indexed.save(tmp_path / "palette.png")
    pillow(np.dstack([LABEL] * 3 + [ALPHA]))(tmp_path / "alpha.png")
    tiff(LABEL.astype(np.uint32) * 70_000, photometric="minisblack")(tmp_path / "wide.tif")
    tiff(LABEL.astype(np.float32), photometric="minisblack")(tmp_path / "float.tif")
    tiff(LABEL == 0, photometric="miniswhite")(tmp_path / "one bit.tif")
    (tmp_path / "two bits.png").write_bytes(two_bits(LABEL))
    for name in ("palette.png", "alpha.png", "float.tif", "two bits.png"):
        assert np.array_equal(read_label(tmp_path / name), LABEL), "as they are stored, not stretched"
    assert np.array_equal(read_label(tmp_path / "wide.tif"), LABEL.astype(np.int64) * 70_000)
    assert np.array_equal(read_label(tmp_path / "one bit.tif"), LABEL > 0), "as viewers show it"
    planes("ZYX", np.stack([LABEL, LABEL]))(tmp_path / "several.ome.tif")
    with pytest.raises(InputError, match="a label of several images or planes"):
        read_label(tmp_path / "several.ome.tif")
    assert np.array_equal(read_label(tmp_path / "several.ome.tif", Choice(plane=0)), LABEL)
    tiff(RGB)(tmp_path / "colours.tif")
    with pytest.raises(InputError, match="a mask in colours"):
        read_label(tmp_path / "colours.tif")
