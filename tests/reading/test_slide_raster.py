import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image
from slide_files import noise

from monai_seunet.reading.opening import open_slide
from monai_seunet.utils.errors import InputError

RGB = noise(30, 40)
GREY = noise(30, 40, 1)[:, :, 0]
ALPHA = np.tile(np.array([0, 255], np.uint8), (30, 20))
SQUARES = GREY[:15, :20].repeat(2, 0).repeat(2, 1)
SQUARES[:2, :4] = [0, 0, 255, 255]


def palette_image():
    image = Image.fromarray(GREY).convert("P")
    image.putpalette(list(noise(256, 1)[:, 0].ravel()))
    return image


def laid_on_white(pixels):
    return np.where(ALPHA[:, :, None] == 0, 255, pixels).astype(np.uint8)


IMAGES = {
    "rgb.png": (lambda: Image.fromarray(RGB), RGB, ""),
    "grey.bmp": (lambda: Image.fromarray(GREY), np.dstack([GREY] * 3), "grey image"),
    "alpha.png": (lambda: Image.fromarray(np.dstack([RGB, ALPHA])), laid_on_white(RGB), "alpha"),
    "grey alpha.png": (
        lambda: Image.fromarray(np.dstack([GREY, ALPHA])),
        laid_on_white(np.dstack([GREY] * 3)),
        "alpha",
    ),
    "palette.png": (palette_image, np.asarray(palette_image().convert("RGB")), "palette"),
    "16 bit.png": (lambda: Image.fromarray(SQUARES.astype(np.uint16) * 257), np.dstack([SQUARES] * 3), "16 bits"),
    "one.png": (lambda: Image.fromarray(RGB[:1, :1]), RGB[:1, :1], ""),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_without_a_pyramid(tmp_path, name):
    make, expected, note = IMAGES[name]
    make().save(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_slide(tmp_path / name) as slide:
            assert len(slide.levels) == 1 and slide.mpp is None
            assert np.array_equal(slide.read(0, 0, 0, slide.height, slide.width), expected)
            assert any(note in one for one in (*slide.notes, "")) and bool(note) == bool(slide.notes)


def test_jpeg_of_printers_becomes_rgb(tmp_path):
    flat = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    with open_slide(tmp_path / "a.jpg") as slide:
        assert np.abs(slide.read(0, 0, 0, 32, 32).astype(int) - flat).max() <= 3


def test_sizes_of_medical_formats_are_kept(tmp_path):
    import nibabel

    image = nibabel.Nifti1Image(GREY.T, np.diag([0.0005, 0.0005, 1, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "a.nii.gz")
    with open_slide(tmp_path / "a.nii.gz") as slide:
        assert slide.mpp == pytest.approx((0.5, 0.5))
        assert np.array_equal(slide.read(0, 5, 5, 9, 9)[:, :, 1], GREY[5:14, 5:14])


def test_numbers_that_are_no_colours_are_refused(tmp_path):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8), np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"a\.nii\.gz: float32 samples in 1 channel\(s\) are no colours"):
        open_slide(tmp_path / "a.nii.gz")


def test_a_tiff_of_one_pixel(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB[:1, :1], photometric="rgb")
    with open_slide(tmp_path / "a.tif") as slide:
        assert np.array_equal(slide.read(0, 0, 0, 1, 1), RGB[:1, :1])
