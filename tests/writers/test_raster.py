"""Files hold what was in memory, rows first, with µm per pixel and their place; independent readers agree."""

import itk
import nibabel
import numpy as np
import pytest
from PIL import Image

from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError
from monai_seunet.writers.raster import write_raster

SUFFIXES = [".png", ".tif", ".tiff", ".nii", ".nii.gz", ".nrrd", ".mha"]
DRAW = np.random.default_rng(0)
ARRAYS = {
    "classes": DRAW.integers(0, 5, (12, 31)),
    "instances": DRAW.integers(0, 60_000, (12, 31)).astype(np.int32),
    "mask": DRAW.random((12, 31)) > 0.5,
    "probability": DRAW.random((12, 31), np.float32),
    "rgb": DRAW.integers(0, 256, (12, 31, 3)).astype(np.uint8),
    "one channel": DRAW.integers(0, 5, (12, 31, 1)),
}
PLANES = DRAW.random((12, 31, 5), np.float32)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("mpp", [0.25, 0.4991, None])
def test_reopened_arrays_equal_those_in_memory(tmp_path, kind, suffix, mpp):
    pixels = ARRAYS[kind]
    raster = read_raster(write_raster(tmp_path / f"map.of.x{suffix}", pixels, mpp))
    assert raster.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-4))
    expected = pixels[:, :, 0] if kind == "one channel" else pixels
    if suffix == ".png" and kind == "probability":
        assert np.abs(raster.pixels / 65535 - expected).max() < 1e-5
    else:
        assert np.array_equal(raster.pixels, expected)
    assert [path.name for path in tmp_path.iterdir()] == [f"map.of.x{suffix}"], "no temporary file is left"


@pytest.mark.parametrize("suffix", [".tif", ".nii.gz"])
def test_maps_of_many_channels(tmp_path, suffix):
    assert np.array_equal(read_raster(write_raster(tmp_path / f"x{suffix}", PLANES, 0.5)).pixels, PLANES)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_maps_of_many_channels_in_itk(tmp_path, suffix):
    reader = itk.ImageFileReader[itk.VectorImage[itk.F, 2]].New()
    reader.SetFileName(str(write_raster(tmp_path / f"x{suffix}", PLANES, 0.5)))
    reader.Update()
    assert np.array_equal(itk.array_from_image(reader.GetOutput()), PLANES)


def test_other_programs_see_the_image_upright(tmp_path):
    """x, the first index of NIfTI and of ITK, runs along the columns."""
    pixels = np.zeros((10, 30), np.uint8)
    pixels[2, 25] = 7
    nifti = nibabel.load(write_raster(tmp_path / "x.nii.gz", pixels, 0.5))
    assert nifti.shape == (30, 10) and np.asarray(nifti.dataobj)[25, 2] == 7
    assert nifti.header.get_xyzt_units()[0] == "micron"
    mha = itk.imread(str(write_raster(tmp_path / "x.mha", pixels, 0.5)))
    assert mha.GetPixel((25, 2)) == 7 and mha.GetSpacing()[0] == pytest.approx(0.0005)
    assert Image.open(write_raster(tmp_path / "x.png", pixels)).getpixel((25, 2)) == 7


def test_small_integers_take_one_byte(tmp_path):
    assert read_raster(write_raster(tmp_path / "x.tif", np.full((4, 4), 3, np.int64))).pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "pixels", "message"),
    [
        ("x.gif", PLANES, r"x\.gif: unknown image format.*\.png"),
        ("x", PLANES, "unknown image format"),
        ("x.png", PLANES, r"x\.png: PNG cannot hold uint16 of shape \[12, 31, 5\]; choose .tif"),
        ("x.png", 3 * PLANES[..., 0], r"x\.png: .*only floating-point values from 0 to 1"),
        ("x.png", np.full((4, 4), 70_000), r"x\.png: PNG cannot hold uint32"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, name, pixels, message):
    with pytest.raises(InputError, match=message):
        write_raster(tmp_path / name, pixels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path, suffix, monkeypatch):
    path = write_raster(tmp_path / f"x{suffix}", np.ones((4, 4), np.uint8))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match=rf"x{suffix}: cannot be written \(No space left on device\)"):
        write_raster(path, np.zeros((4, 4), np.uint8))
    assert read_raster(path).pixels.all()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_real_failure_to_write(tmp_path):
    (tmp_path / "folder").write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cannot be written"):
        write_raster(tmp_path / "folder" / "x.png", np.zeros((4, 4), np.uint8))


PIXELS = np.arange(200, dtype=np.uint8).reshape(10, 20)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pixels_that_are_not_square_are_read_back(tmp_path, suffix):
    raster = read_raster(write_raster(tmp_path / f"x{suffix}", PIXELS, (0.25, 0.5)))
    assert raster.pixel_size == pytest.approx((0.25, 0.5), rel=1e-4) and np.array_equal(raster.pixels, PIXELS)


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


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_are_the_same_whenever_they_are_written(tmp_path, suffix, monkeypatch):
    one = write_raster(tmp_path / f"x{suffix}", PIXELS, 0.5).read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert write_raster(tmp_path / f"x{suffix}", PIXELS, (0.5, 0.5), (0, 0)).read_bytes() == one
