import pickle

import numpy as np
import openslide
import pytest
import tifffile
from layouts import write_image
from slide_files import ArraySlide, noise, overwrite_tile, pyramid, write_pyramid

from monai_seunet.reading.formats.openslide import OpenSlideSlide
from monai_seunet.reading.opening import MemorySlide, open_slide
from monai_seunet.reading.slide import Level, pyramid_level
from monai_seunet.reading.tiff.slide import TiffSlide
from monai_seunet.utils.errors import InputError


@pytest.fixture
def cmu(data_dir):
    return data_dir / "slides" / "cmu_small_region.svs"


@pytest.mark.data
def test_a_scanner_s_slide_is_that_of_another_decoder(cmu):
    with open_slide(cmu) as slide, tifffile.TiffFile(cmu) as tiff:
        assert isinstance(slide, OpenSlideSlide)
        assert (slide.height, slide.width, slide.mpp, slide.objective_power) == (2967, 2220, (0.499, 0.499), 20)
        ours, theirs = slide.read(0, 200, 700, 300, 500), tiff.pages[0].asarray()[200:500, 700:1200]
    assert np.abs(ours.astype(int) - theirs).max() <= 2  # decoders of JPEG round differently


@pytest.mark.data
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.99])
def test_a_slide_that_was_cut_off_is_refused(cmu, tmp_path, share):
    content = cmu.read_bytes()
    path = tmp_path / "cut.svs"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"cut\.svs: .*(empty|cut off).*copy") as caught:
        open_slide(path)
    assert "\n" not in str(caught.value)


@pytest.mark.data
def test_a_damaged_tile_is_named_and_the_rest_still_read(cmu, tmp_path):
    path = tmp_path / "Präparat 7 ä.svs"
    path.write_bytes(cmu.read_bytes())
    overwrite_tile(path, page=0, tile=0)
    with open_slide(path) as slide:
        with pytest.raises(InputError, match=r"Präparat 7 ä\.svs: level 0, rows 0 to 100, columns 0 to 120 cannot be"):
            slide.read(0, -5, 0, 105, 120)
        assert slide.read(0, 1000, 1000, 100, 100).std() > 0


@pytest.mark.data
def test_tiny_slide(data_dir):
    with open_slide(data_dir / "slides" / "small.svs") as slide:
        assert (slide.height, slide.width) == (16, 16)
        assert (slide.read(0, 16, 0, 4, 4) == 255).all()


def test_openslide_levels_that_it_interpolates_have_one_value_a_pixel(tmp_path):
    levels = [noise(1003, 1301), noise(251, 326)]  # 4 times smaller, but not exactly
    path = write_pyramid(tmp_path / "a.tif", levels)
    with OpenSlideSlide(path) as slide:
        whole = slide.read(1, 0, 0, 251, 326)
        part = slide.read(1, 101, 203, 60, 70)
        assert slide.levels[1] == Level(251, 326, 4.0)
    assert np.array_equal(part, whole[101:161, 203:273])
    with openslide.OpenSlide(path) as handle:  # the control: what OpenSlide gives for the same region
        factor = handle.level_downsamples[1]
        plain = np.asarray(handle.read_region((round(203 * factor), round(101 * factor)), 1, (70, 60)))[:, :, :3]
    assert not np.array_equal(plain, part)


def test_regions_may_lie_outside():
    pixels = noise(20, 30)
    slide = ArraySlide([pixels])
    read = slide.read(0, -3, 25, 30, 10)
    expected = np.full((30, 10, 3), 255, np.uint8)
    expected[3:23, :5] = pixels[:, 25:]
    assert np.array_equal(read, expected)
    assert (slide.read(0, 100, 100, 2, 2) == 255).all() and (slide.read(0, -9, 0, 5, 5) == 255).all()


@pytest.mark.parametrize("mpp", [(0.0, 0.25), (0.25, 1e6), (-1.0, -1.0), (float("nan"), float("nan"))])
def test_sizes_that_cannot_be_are_left_out_with_a_note(mpp):
    slide = ArraySlide([noise(4, 4)], mpp=mpp, objective_power=0.0)
    assert slide.mpp is None and slide.objective_power is None
    assert "not plausible" in slide.notes[0]


@pytest.mark.parametrize(
    ("base", "size", "factor"),
    [
        ((1000, 1000), (500, 500), 2.0),
        ((32914, 46000), (8228, 11500), 4.0),
        ((1001, 999), (501, 500), 2.0),
        ((1000, 1000), (400, 400), 2.5),
        ((1, 1), (1, 1), 1.0),
    ],
)
def test_whole_factors_are_found_through_the_rounding_of_sizes(base, size, factor):
    assert pyramid_level(base, size) == Level(*size, factor)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.svs", None, "no such file"),
        ("", None, "a folder"),
        ("a.tif", b"", "empty"),
        ("a.svs", b"a text file\n" * 40, "OpenSlide does not recognise"),
        ("a.tif", b"a text file\n" * 40, "cannot be read as a TIFF file"),
        ("a.docx", b"a text file\n" * 40, "unknown image format"),
        ("a.png", b"a text file\n" * 40, r"read as an image \(cannot identify image file\); copy or export it again$"),
    ],
)
def test_what_is_no_slide_is_refused_in_one_line(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        open_slide(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_slides_go_to_other_processes(tmp_path, suffix):
    path = write_image(tmp_path / f"a b.{suffix}", noise(40, 50))
    with open_slide(path) as slide, pickle.loads(pickle.dumps(slide)) as copy:
        assert np.array_equal(copy.read(0, 3, 4, 5, 6), noise(40, 50)[3:8, 4:10])


def test_formats_reach_their_readers(tmp_path):
    write_pyramid(tmp_path / "a.tif", pyramid())
    assert isinstance(open_slide(tmp_path / "a.tif"), TiffSlide)
    assert isinstance(open_slide(write_image(tmp_path / "a.jpg", noise(9, 9))), MemorySlide)


@pytest.mark.parametrize("bounds", [(64, 128, 256, 320), (65, 130, 200, 301)])
def test_a_scan_on_a_larger_canvas_is_its_bounds(tmp_path, monkeypatch, bounds):
    levels = pyramid(512, 640)
    path, (top, left, height, width) = write_pyramid(tmp_path / "a.tif", levels), bounds

    class Bounded(openslide.OpenSlide):
        @property
        def properties(self):
            said = zip(("y", "x", "height", "width"), bounds, strict=True)
            return {**super().properties, **{f"openslide.bounds-{name}": str(value) for name, value in said}}

    monkeypatch.setattr("monai_seunet.reading.formats.openslide.OpenSlide", Bounded)
    with OpenSlideSlide(path) as slide:
        assert (slide.height, slide.width) == (height, width)
        for level, pixels in enumerate(levels):
            y, x = round(top / 2**level), round(left / 2**level)
            size = slide.levels[level]
            assert size == (height // 2**level, width // 2**level, 2.0**level)
            expected = pixels[y : y + size.height, x : x + size.width]
            assert np.array_equal(slide.read(level, 0, 0, size.height, size.width), expected)
        assert (slide.read(0, height, 0, 3, 3) == 255).all(), "what lies beyond is not the slide's"
