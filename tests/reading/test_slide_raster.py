import numpy as np
import pytest
from layouts import write_image, write_medical
from PIL import Image
from slide_files import noise

from monai_seunet.reading.opening import open_slide
from monai_seunet.utils.errors import InputError

GREY = noise(30, 40, 1)[:, :, 0]


@pytest.mark.parametrize("name", ["one.png", "one.bmp", "one.tif"])
@pytest.mark.filterwarnings("error")
def test_an_image_of_one_pixel(tmp_path, name):
    write_image(tmp_path / name, noise(1, 1))
    with open_slide(tmp_path / name) as slide:
        assert len(slide.levels) == 1 and slide.mpp is None and slide.notes == ()
        assert np.array_equal(slide.read(0, 0, 0, 1, 1), noise(1, 1))


def test_jpeg_of_printers_becomes_rgb(tmp_path):
    flat = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    with open_slide(tmp_path / "a.jpg") as slide:
        assert np.abs(slide.read(0, 0, 0, 32, 32).astype(int) - flat).max() <= 3


def test_sizes_of_medical_formats_are_kept(tmp_path):
    write_medical(tmp_path / "a.nii.gz", GREY, mm=0.0005)
    with open_slide(tmp_path / "a.nii.gz") as slide:
        assert slide.mpp == pytest.approx((0.5, 0.5))
        assert np.array_equal(slide.read(0, 5, 5, 9, 9)[:, :, 1], GREY[5:14, 5:14])


def test_numbers_that_are_no_colours_are_refused(tmp_path):
    write_medical(tmp_path / "a.nii.gz", np.zeros((8, 8), np.float32))
    with pytest.raises(InputError, match=r"a\.nii\.gz: float32 samples in 1 channel\(s\) are no colours"):
        open_slide(tmp_path / "a.nii.gz")
