import numpy as np
import pytest
from skimage.measure import regionprops

from monai_seunet.cli import main
from monai_seunet.data.datalist import load_dataset
from monai_seunet.data.sets.synthetic import EOSIN, HAEMATOXYLIN, Scene, make_scene, render
from monai_seunet.reading.raster import read_raster


def lone_nucleus(length: float = 5.0, width: float = 3.0, angle: float = 0.4) -> Scene:
    waves = np.zeros((2, 1, 4))
    return Scene((32.0, 48.0), np.array([[14.0, 25.0, length, width, angle, 1.0]]), waves)


def test_same_seed_same_scene_and_pixels():
    for first, second in zip(render(make_scene(3), 0.5, 2.0), render(make_scene(3), 0.5, 2.0), strict=True):
        assert np.array_equal(first, second)
    assert not np.array_equal(render(make_scene(3), 0.5)[0], render(make_scene(4), 0.5)[0])


@pytest.mark.parametrize("mpp", [0.125, 0.25, 0.5])
def test_a_nucleus_has_its_size_and_place_in_um(mpp):
    image, label = render(lone_nucleus(), mpp)
    assert image.shape == (3, 32 / mpp, 48 / mpp) and image.dtype == np.uint8
    assert label.shape == (1, 32 / mpp, 48 / mpp) and label.dtype == np.uint16
    (nucleus,) = regionprops(label[0].astype(int))
    assert nucleus.area * mpp**2 == pytest.approx(np.pi * 5 * 3, rel=0.02)
    assert nucleus.axis_major_length * mpp == pytest.approx(10, abs=mpp)
    assert nucleus.axis_minor_length * mpp == pytest.approx(6, abs=mpp)
    assert np.allclose((np.array(nucleus.centroid) + 0.5) * mpp, [14, 25], atol=0.1)


def test_coarser_pixels_see_the_average_of_finer_ones():
    scene = make_scene(1)
    fine, coarse = (-np.log(np.maximum(render(scene, mpp)[0], 1) / 255.0) for mpp in (0.25, 1.0))
    average = fine.reshape(3, 64, 4, 64, 4).mean(axis=(2, 4))
    assert np.abs(average - coarse).mean() < 0.01
    assert np.abs(fine[:, ::4, ::4] - coarse).mean() > 0.02  # taking every fourth pixel is not the same


def test_nuclei_do_not_overlap_and_have_the_size_asked_for():
    scene = make_scene(0, size=(100.0, 100.0), diameter=(6.0, 10.0), coverage=0.3)
    nuclei = scene.nuclei
    assert len(nuclei) > 20 and (nuclei[:, 2] >= 3).all() and (nuclei[:, 2] <= 5).all()
    distance = np.hypot(*(nuclei[:, None, :2] - nuclei[None, :, :2]).transpose(2, 0, 1))
    np.fill_diagonal(distance, np.inf)
    assert (distance > nuclei[:, None, 2] + nuclei[None, :, 2]).all()


def test_colours_lie_in_the_plane_of_the_two_stains():
    image, _ = render(make_scene(2), 0.25)
    absorbance = -np.log(np.maximum(image.reshape(3, -1), 1) / 255.0)
    stains = np.stack([HAEMATOXYLIN, EOSIN], axis=1)
    amounts = np.linalg.lstsq(stains, absorbance, rcond=None)[0]
    assert np.abs(stains @ amounts - absorbance).max() < 0.03  # rounding to grey levels
    assert amounts.min() > -0.05


def test_nuclei_are_blue_and_stroma_is_pink():
    image, label = render(make_scene(5), 0.25)
    inside, outside = (image[:, label[0] > 0].mean(axis=1), image[:, label[0] == 0].mean(axis=1))
    assert inside[2] > inside[0] and outside[0] > outside[1] and (inside < outside).all()


@pytest.mark.parametrize("mpp", [0, -1, 1000, float("nan")])
def test_mpp_without_a_pixel_is_refused(mpp):
    with pytest.raises(ValueError, match="mpp is"):
        render(make_scene(0), mpp)


@pytest.mark.parametrize("wrong", [{"size": (0, 5)}, {"diameter": (9, 6)}, {"coverage": 0.9}])
def test_impossible_scenes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"size|coverage"):
        make_scene(0, **wrong)


def test_a_data_set_is_made(tmp_path):
    options = ["--images", "5", "--pixels", "64", "--mpp", "0.5"]
    assert main(["prepare", "synthetic", str(tmp_path / "set"), *options]) == 0
    dataset = load_dataset(tmp_path / "set")
    assert (len(dataset.training), len(dataset.validation), dataset.mpp) == (4, 1, 0.5)
    assert read_raster(dataset.training[0]["image"]).pixels.shape == (64, 64, 3)
    assert main(["prepare", "synthetic", str(tmp_path / "other"), "--images", "0"]) == 2
