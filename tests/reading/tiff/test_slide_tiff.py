import numpy as np
import pytest
import tifffile
from PIL import Image
from slide_files import noise, overwrite_tile, pyramid, write_pyramid

from monai_seunet.reading.formats.openslide import OpenSlideSlide
from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.tiff import level as tiff_level
from monai_seunet.reading.tiff.slide import TiffSlide
from monai_seunet.utils.errors import InputError

SIZE = (203, 301)
REGION = (60, 58, 90, 140)  # over the borders of tiles


def check(path, levels):
    """Every level holds these pixels, whole and in part."""
    with TiffSlide(path) as slide:
        assert [(level.height, level.width) for level in slide.levels] == [level.shape[:2] for level in levels]
        assert [level.downsample for level in slide.levels] == [2.0**number for number in range(len(levels))]
        for number, level in enumerate(levels):
            assert np.array_equal(slide.read(number, 0, 0, *level.shape[:2]), level)
        y, x, height, width = REGION
        assert np.array_equal(slide.read(0, *REGION), levels[0][y : y + height, x : x + width])
        return slide


@pytest.mark.parametrize("tile", [(64, 64), (16, 128), None])
@pytest.mark.parametrize(("name", "subifds"), [("a.tif", False), ("a.tif", True), ("a.ome.tif", True)])
def test_pyramids(tmp_path, name, tile, subifds):
    levels = pyramid(*SIZE)
    check(write_pyramid(tmp_path / name, levels, subifds=subifds, tile=tile), levels)


def test_the_same_pixels_as_openslide(tmp_path):
    levels = pyramid(256, 320)
    path = write_pyramid(tmp_path / "a.tif", levels)
    with TiffSlide(path) as ours, OpenSlideSlide(path) as theirs:
        assert ours.levels == theirs.levels
        for level in range(3):
            assert np.array_equal(ours.read(level, 10, 20, 50, 60), theirs.read(level, 10, 20, 50, 60))


def test_label_and_overview_are_no_levels(tmp_path):
    levels = pyramid(*SIZE)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(noise(40, 90), photometric="rgb", metadata=None)  # before the scan and of another shape
        for level in levels:
            writer.write(level, photometric="rgb", tile=(64, 64), metadata=None)
        writer.write(levels[1][:, :, 0], photometric="minisblack", metadata=None)
    check(tmp_path / "a.tif", levels)


GREY = noise(*SIZE, 1)
RGB = noise(*SIZE)
INKS = noise(*SIZE, 4)
RGB16 = noise(*SIZE, dtype=np.uint16)
BITS = np.random.default_rng(0).random((*SIZE, 1)) < 0.5

PALETTE = noise(256, 3, 1, dtype=np.uint16)[:, :, 0].T
IN_PALETTE = (PALETTE >> 8).astype(np.uint8).T[GREY[:, :, 0]]
STRIPS = {"rowsperstrip": 7}

LAYOUTS = {
    "one strip": (RGB, {"rowsperstrip": SIZE[0]}, RGB),
    "strips": (RGB, STRIPS, RGB),
    "LZW strips": (RGB, {**STRIPS, "compression": "lzw", "predictor": True}, RGB),
    "big endian": (RGB16, {**STRIPS, "byteorder": ">"}, np.round(RGB16 / 257.0).astype(np.uint8)),
    "16 bits in tiles": (RGB16, {"tile": (64, 64), "compression": "zlib"}, np.round(RGB16 / 257.0).astype(np.uint8)),
    "planes": (np.moveaxis(RGB, 2, 0), {**STRIPS, "planarconfig": "separate", "compression": "zlib"}, RGB),
    "planes in tiles": (np.moveaxis(RGB, 2, 0), {"tile": (64, 64), "planarconfig": "separate"}, RGB),
    "a page a channel": (np.moveaxis(RGB, 2, 0), {"photometric": "minisblack", "metadata": {"axes": "CYX"}}, RGB),
    "grey": (GREY[:, :, 0], {"photometric": "minisblack"}, GREY.repeat(3, 2)),
    "0 is white": (GREY[:, :, 0], {"photometric": "miniswhite", "tile": (32, 32)}, 255 - GREY.repeat(3, 2)),
    "one bit": (BITS[:, :, 0], {"photometric": "minisblack"}, BITS.repeat(3, 2).astype(np.uint8) * 255),
    "palette": (GREY[:, :, 0], {"photometric": "palette", "colormap": PALETTE}, IN_PALETTE),
    "CMYK": (INKS, {"photometric": "separated", **STRIPS}, np.asarray(Image.fromarray(INKS, "CMYK").convert("RGB"))),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_pixels(tmp_path, layout):
    stored, options, expected = LAYOUTS[layout]
    name = "a.ome.tif" if "metadata" in options else "a.tif"
    tifffile.imwrite(tmp_path / name, stored, **{"photometric": "rgb", "metadata": None, **options})
    slide = check(tmp_path / name, [expected])
    to_8 = "16 bits converted to 8"
    noted = {"16": to_8, "big": to_8, "grey": "grey image", "palette": "palette"}
    assert any(noted.get(layout.split()[0], "") in note for note in (*slide.notes, ""))


REFUSED = {
    "are no colours": (np.zeros((40, 40), np.float32), {}),
    "5 channels are no colours; give plane": (
        np.zeros((5, 40, 40), np.uint8),
        {"photometric": "minisblack", "imagej": True, "metadata": {"axes": "CYX"}},
    ),
    "5 channels": (np.zeros((40, 40, 5), np.uint8), {"photometric": "rgb", "planarconfig": "contig"}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_images_that_are_no_slides(tmp_path, words):
    pixels, options = REFUSED[words]
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    with pytest.raises(InputError, match=words):
        open_slide(tmp_path / "a.tif")


def test_only_what_a_region_needs_is_read(tmp_path, monkeypatch):
    pixels = noise(2000, 1500)
    tifffile.imwrite(tmp_path / "strip.tif", pixels, photometric="rgb", rowsperstrip=2000)
    write_pyramid(tmp_path / "tiles.tif", [pixels], compression=None)
    read, sizes = tiff_level._bytes, []
    monkeypatch.setattr(tiff_level, "_bytes", lambda page, offset, size: sizes.append(size) or read(page, offset, size))
    for name, most in (("strip.tif", 2 << 20), ("tiles.tif", 9 * 64 * 64 * 3)):
        sizes.clear()
        with open_slide(tmp_path / name) as slide:
            assert np.array_equal(slide.read(0, 1000, 700, 100, 100), pixels[1000:1100, 700:800])
            assert 0 < sum(sizes) <= most
            sizes.clear()
            slide.read(0, 1000, 700, 100, 100)
            assert not sizes  # it is kept for the next window


def test_damage_is_named_where_it_is(tmp_path):
    path = write_pyramid(tmp_path / "a.tif", pyramid(*SIZE))
    overwrite_tile(path, page=1, tile=0)
    with open_slide(path) as slide:
        slide.read(0, 0, 0, *SIZE)
        slide.read(1, 64, 64, 20, 20)
        with pytest.raises(InputError, match=r"a\.tif: level 1, rows 0 to 10, columns 5 to 15 cannot be read"):
            slide.read(1, 0, 5, 10, 10)


@pytest.mark.parametrize("share", [0.0001, 0.2, 0.6, 0.95])
def test_a_file_that_was_cut_off_is_refused(tmp_path, share):
    path = write_pyramid(tmp_path / "a.tif", pyramid(*SIZE), subifds=True)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"a\.tif: .*copy"):
        open_slide(path)


def test_tiles_that_the_file_leaves_out_are_white(tmp_path):
    pixels = noise(128, 128)
    tiles = [pixels[:64, :64], None, None, pixels[64:, 64:]]
    options = {"shape": pixels.shape, "dtype": np.uint8, "tile": (64, 64), "photometric": "rgb"}
    tifffile.imwrite(tmp_path / "a.tif", iter(tiles), **options)
    with open_slide(tmp_path / "a.tif") as slide:
        read = slide.read(0, 0, 0, 128, 128)
    assert np.array_equal(read[:64, :64], pixels[:64, :64]) and (read[:64, 64:] == 255).all()


def test_what_ome_says_of_size_and_objective(tmp_path):
    metadata = {"axes": "YXS", "PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm"}
    metadata |= {"PhysicalSizeY": 0.0003, "PhysicalSizeYUnit": "mm"}
    path = write_pyramid(tmp_path / "a.ome.tif", pyramid(*SIZE), subifds=True, metadata=metadata)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx((0.3, 0.25))
        assert slide.vendor == "ome-tiff"


def test_what_aperio_says(tmp_path):
    text = "Aperio Image Library\n9x9 |AppMag = 40|MPP = 0.2520|Top = 1"
    tifffile.imwrite(tmp_path / "a.tif", noise(9, 9), photometric="rgb", description=text, metadata=None)
    with open_slide(tmp_path / "a.tif") as slide:
        assert (slide.mpp, slide.objective_power) == ((0.252, 0.252), 40)
