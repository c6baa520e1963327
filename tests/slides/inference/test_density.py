"""The density of haematoxylin is that of the transform, and windows of any size store the same map."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from dark_slides import draw, segmenter
from skimage.color import rgb2hed
from skimage.data import immunohistochemistry

from monai_seunet.slides import run
from monai_seunet.slides.inference.density import DensityMap, haematoxylin_density, open_density
from monai_seunet.slides.inference.windows import WindowGrid, plan_windows
from monai_seunet.slides.nuclei.areas import DENSITY_UNIT
from monai_seunet.transforms.stain import HaematoxylinDensity


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return immunohistochemistry()[:150, :210]


def test_it_is_the_transform_to_base_10(image):
    expected = HaematoxylinDensity()(torch.from_numpy(image).permute(2, 0, 1))[0].numpy() / math.log(10)
    found = haematoxylin_density(image) / DENSITY_UNIT
    assert expected.max() > 0.5 and np.abs(found - expected).max() < 0.51 / DENSITY_UNIT


def test_pure_haematoxylin_has_its_density_here_and_in_scikit_image():
    stain = np.array([0.65, 0.70, 0.29]) / np.linalg.norm([0.65, 0.70, 0.29])
    densities = np.array([0.2, 0.5, 1.0])
    pixels = np.rint(255 * 10 ** (-densities[:, None] * stain)).astype(np.uint8)[None]
    assert haematoxylin_density(pixels)[0] / DENSITY_UNIT == pytest.approx(densities, abs=0.02)
    theirs = rgb2hed(pixels)[0, :, 0]
    assert theirs / theirs[2] == pytest.approx(densities, abs=0.02)
    eosin = np.rint(255 * 10 ** (-np.array([0.07, 0.99, 0.11]))).astype(np.uint8)[None, None]
    assert haematoxylin_density(eosin)[0, 0] <= 1


@pytest.mark.parametrize("side", [32, 48, 256])
@pytest.mark.parametrize("left_out", [None, (2, 1)])
def test_windows_of_any_size_store_the_same_map(tmp_path, image, side, left_out):
    grid = WindowGrid.fit(*image.shape[:2], side, 16, 16, 16)
    windows = [w for w in plan_windows(grid, lambda *_: True) if (w.row, w.column) != left_out]
    density, covered = DensityMap(tmp_path / "d", grid, windows), np.zeros(image.shape[:2], bool)
    for window in windows[: len(windows) // 2]:
        density.store(window, padded(image, grid, window))
    again = DensityMap(tmp_path / "d", grid, windows)  # after an interruption
    for window in windows[len(windows) // 2 :]:
        again.store(window, padded(image, grid, window))
    for window in windows:
        covered[window.y : window.y + grid.window[0], window.x : window.x + grid.window[1]] = True
    assert covered.all() == (left_out is None or side != 48)  # windows of 32 cover every pixel twice
    assert np.array_equal(open_density(tmp_path / "d")[:], np.where(covered, haematoxylin_density(image), 0))


def padded(image: np.ndarray, grid: WindowGrid, window) -> np.ndarray:
    """The pixels of a window, black outside the image."""
    result = np.zeros((*grid.window, 3), np.uint8)
    part = image[window.y : window.y + grid.window[0], window.x : window.x + grid.window[1]]
    result[: part.shape[0], : part.shape[1]] = part
    return result


def test_it_is_measured_only_for_formats_that_have_it(tmp_path, monkeypatch):
    def measured(*_):
        raise AssertionError("measured")

    monkeypatch.setattr(run, "DensityMap", measured)
    slide = draw(tmp_path / "a.tif")
    replace(segmenter(), formats=("geojson",)).run(slide, tmp_path / "geojson")
    with pytest.raises(AssertionError, match="measured"):
        replace(segmenter(), formats=("csv",)).run(slide, tmp_path / "csv")
