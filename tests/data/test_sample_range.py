"""Which stored values are black and white."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from monai_seunet.data.reader import read_raster
from monai_seunet.data.sample_range import SampleRange, range_of_colours, range_of_grey
from monai_seunet.slides.source import open_slide


def camera(seed: int = 0, size: tuple[int, int] = (60, 70)) -> np.ndarray:
    """Faint squares of 500 to 900 on a ground of about 150, as a camera of 12 bits has them."""
    rng = np.random.default_rng(seed)
    image = rng.integers(140, 160, size)
    for top, left, value in zip(rng.integers(0, 50, 9), rng.integers(0, 60, 9), range(500, 950, 50), strict=True):
        image[top : top + 6, left : left + 6] = value
    return image.astype(np.uint16)


def test_values_between_lie_in_proportion():
    found = SampleRange(100, 355).in_8_bits(np.array([0, 100, 101, 200, 355, 4000], np.uint16))
    assert found.dtype == np.uint8 and found.tolist() == [0, 0, 1, 100, 255, 255]
    every = np.arange(1 << 16, dtype=np.uint16)
    assert np.array_equal(SampleRange(0, 65535).in_8_bits(every), np.round(every / 257.0))


def test_grey_is_shown_from_its_darkest_to_its_brightest_value():
    image = camera()
    low, high = range_of_grey([image])
    assert 140 <= low < 160 and high == 900
    assert range_of_grey([image[:30], image[30:]])[1] == 900
    hot = image.copy()
    hot[20, 20], hot[40, 41] = 65535, 0
    assert range_of_grey([hot]) == (low, high), "a hot pixel does not count"
    hot[20:22, 20:22] = 4000
    assert range_of_grey([hot]) == (low, 4000), "a square of four does"
    assert range_of_grey([image.T]) == (low, high)


@pytest.mark.parametrize("image", [np.full((5, 6), 7, np.uint16), np.full((1, 9), 7, np.uint16), np.uint16([[7]])])
def test_flat_and_narrow_images(image):
    shown = range_of_grey([image])
    assert shown == (7, 8) and not shown.in_8_bits(image).any()
    assert range_of_grey([]) == (0, 1)


@pytest.mark.parametrize(("most", "white"), [(200, 255), (256, 1023), (1023, 1023), (3000, 4095), (60000, 65535)])
def test_colours_are_shown_by_the_bits_that_they_need(most, white):
    assert range_of_colours([np.array([[0, 5]]), np.array([[most]])]) == (0, white)
    assert range_of_colours([]) == (0, 255)


@pytest.mark.parametrize("name", ["a.tif", "tiles.tif", "deflated.tif", "inverted.tif", "a.png", "a.nrrd"])
def test_faint_nuclei_of_12_bits_keep_their_contrast(tmp_path, name):
    image = camera()
    write(tmp_path / name, image)
    with open_slide(tmp_path / name) as slide:
        shown = slide.read(0, 0, 0, *image.shape)[:, :, 0].astype(float)
        assert any("16 bits brought to 8, 1" in note and "to 900 as 0 to 255" in note for note in slide.notes)
        parts = [slide.read(0, top, 0, 20, image.shape[1]) for top in (0, 20, 40)]
        assert np.array_equal(np.concatenate(parts)[:, :, 0], shown), "a region has the values of the whole"
        with slide.for_thread() as other:
            assert np.array_equal(other.read(0, 0, 0, *image.shape)[:, :, 0], shown)
    shown = 255 - shown if name == "inverted.tif" else shown
    assert len(np.unique(shown[image >= 500])) == len(np.unique(image[image >= 500])) > 3
    assert shown[image >= 500].min() > 100 and shown[image < 200].max() < 10
    full = SampleRange(0, 65535).in_8_bits(image)
    assert len(np.unique(full[image >= 500])) <= 3, "the control: of the full range they would keep hardly a level"


def write(path, image):
    if path.suffix == ".tif":
        options = {"tiles.tif": {"tile": (16, 16)}, "deflated.tif": {"compression": "zlib", "rowsperstrip": 8}}
        meant = "miniswhite" if path.name == "inverted.tif" else "minisblack"
        tifffile.imwrite(path, image, photometric=meant, **options.get(path.name, {}))
    elif path.suffix == ".png":
        from PIL import Image

        Image.fromarray(image).save(path)
    else:
        import itk

        itk.imwrite(itk.image_from_array(image), str(path))


def test_colours_of_12_bits_are_as_bright_as_of_8(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", np.round(colours * (4095 / 255)).astype(np.uint16), photometric="rgb")
    with open_slide(tmp_path / "a.tif") as slide:
        assert np.array_equal(slide.read(0, 0, 0, 40, 50), colours)
        assert "16 bits brought to 8, 0 to 4095 as 0 to 255" in slide.notes
    with pytest.warns(UserWarning, match="4095 is white"):
        assert np.array_equal(read_raster(tmp_path / "a.tif").pixels, colours)
