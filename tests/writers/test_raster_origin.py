"""Spacing of pixels that are not square, and where a part of an image lies."""

import itk
import nibabel
import numpy as np
import pytest

from monai_seunet.reading.raster import read_raster
from monai_seunet.writers.raster import write_raster

PIXELS = np.arange(200, dtype=np.uint8).reshape(10, 20)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".nii", ".nii.gz", ".nrrd", ".mha"])
def test_pixels_that_are_not_square_are_read_back(tmp_path, suffix):
    raster = read_raster(write_raster(tmp_path / f"x{suffix}", PIXELS, (0.25, 0.5)))
    assert raster.pixel_size == pytest.approx((0.25, 0.5), rel=1e-4)
    assert np.array_equal(raster.pixels, PIXELS)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_the_origin_is_in_millimetres_in_itk(tmp_path, suffix):
    image = itk.imread(str(write_raster(tmp_path / f"x{suffix}", PIXELS, (0.25, 0.5), (7.5, 30.0))))
    assert list(image.GetOrigin()) == pytest.approx([0.03, 0.0075])
    assert list(image.GetSpacing()) == pytest.approx([0.0005, 0.00025])
    image = itk.imread(str(write_raster(tmp_path / f"y{suffix}", PIXELS, None, (3, 4))))
    assert list(image.GetOrigin()) == [4, 3]


def test_the_origin_is_in_micrometres_in_nifti(tmp_path):
    path = write_raster(tmp_path / "x.nii.gz", PIXELS, (0.25, 0.5), (7.5, 30.0))
    image = nibabel.load(path)
    expected = [[0.5, 0, 0, 30], [0, 0.25, 0, 7.5], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert image.affine.tolist() == expected and image.get_qform().tolist() == expected
    assert image.header.get_xyzt_units()[0] == "micron"
    assert list(itk.imread(str(path)).GetSpacing())[:2] == pytest.approx([0.0005, 0.00025]), "ITK takes it as mm"


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".tif", ".png"])
def test_files_are_the_same_whenever_they_are_written(tmp_path, suffix, monkeypatch):
    one = write_raster(tmp_path / f"x{suffix}", PIXELS, 0.5).read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert write_raster(tmp_path / f"x{suffix}", PIXELS, (0.5, 0.5), (0, 0)).read_bytes() == one
