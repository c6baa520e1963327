"""Shapes are those of scikit-image on the label image, and those of discs and lines in the mean."""

from itertools import pairwise

import numpy as np
import pytest
from nuclei_fields import RULES, discs, maps_of, painted, random_maps
from skimage.measure import regionprops

from monai_seunet.slides.nuclei.areas import DENSITY_UNIT
from monai_seunet.slides.nuclei.find import find_nuclei

SIZE = (150, 190)


@pytest.fixture(scope="module")
def found():
    density = np.random.default_rng(1).integers(0, 200, SIZE, dtype=np.uint8)
    return density, find_nuclei(random_maps(0)._replace(density=density), RULES)


def test_shapes_are_those_of_the_label_image(found):
    density, objects = found
    regions = regionprops(painted(objects, SIZE), density / DENSITY_UNIT)
    assert len(regions) == len(objects) > 50
    for k, region in enumerate(regions):
        assert region.area == objects.areas[k]
        assert objects.perimeters[k] == pytest.approx(region.perimeter_crofton)
        assert objects.eccentricities[k] == pytest.approx(region.eccentricity, abs=1e-6)
        assert objects.densities[k] == pytest.approx(region.mean_intensity)
    # scikit-image counts the pixels of the hull, whose area is meant here
    large = [k for k in range(len(objects)) if objects.areas[k] > 60]
    expected = np.array([regions[k].solidity for k in large])
    assert len(large) > 20 and expected.min() < 0.9
    assert np.abs(objects.solidities[large] - expected).max() < 0.05
    assert abs((objects.solidities[large] - expected).mean()) < 0.02


def test_the_place_does_not_change_a_bit(found):
    density, objects = found
    moved = find_nuclei(random_maps(0)._replace(density=density), RULES, (70_000, 123_456))
    for name in ("perimeters", "eccentricities", "solidities", "densities"):
        assert np.array_equal(getattr(moved, name), getattr(objects, name))


def test_discs_have_their_perimeter_and_ellipses_their_eccentricity():
    radii = np.linspace(6, 25, 20)
    shapes = [find_nuclei(maps_of(discs((60, 60), (30, 30, radius))), RULES) for radius in radii]
    ratios = [float(one.perimeters[0] / (2 * np.sqrt(np.pi * one.areas[0]))) for one in shapes]
    assert abs(np.mean(ratios) - 1) < 0.015 and np.ptp(ratios) < 0.05
    assert max(float(one.eccentricities[0]) for one in shapes) < 0.1
    assert min(float(one.solidities[0]) for one in shapes) > 0.97
    y, x = np.mgrid[:80, :80] - 39.5
    turned = [find_nuclei(maps_of(ellipse(y, x, angle)), RULES) for angle in (0, 0.4, 1.2)]
    assert [float(one.eccentricities[0]) for one in turned] == pytest.approx([np.sqrt(1 - 0.25)] * 3, abs=0.01)
    bent = discs((60, 60), (30, 30, 20)) & ~discs((60, 60), (30, 40, 18))
    assert find_nuclei(maps_of(bent), RULES._replace(whole_area=1e9)).solidities[0] < 0.8


def ellipse(y: np.ndarray, x: np.ndarray, angle: float) -> np.ndarray:
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return (along / 30) ** 2 + (across / 15) ** 2 < 1


def test_a_mean_density_without_stains_is_unknown():
    objects = find_nuclei(random_maps(0), RULES)
    assert len(objects) > 50 and np.isnan(objects.densities).all()


def test_larger_nuclei_have_longer_outlines():
    lengths = [find_nuclei(maps_of(discs((60, 60), (30, 30, r))), RULES).perimeters[0] for r in range(3, 20)]
    assert all(shorter < longer for shorter, longer in pairwise(lengths))
