"""Nuclei of a region: each is measured rightly, and depends on its own component only."""

import numpy as np
import pytest
from nuclei_fields import RULES, discs, maps_of, painted, random_maps, rows_of
from scipy import ndimage
from shapely import Polygon
from skimage.measure import points_in_poly, regionprops

from monai_seunet.slides.nuclei.areas import Maps, fill_small_holes
from monai_seunet.slides.nuclei.find import find_nuclei


def test_measures_agree_with_scikit_image():
    maps = random_maps(0)
    found, foreground = find_nuclei(maps, RULES), maps.probability.sum(0, dtype=int)
    label = painted(found, maps.groups.shape)
    assert len(found) > 50
    for k, region in enumerate(regionprops(label)):
        if region.area != found.areas[k]:
            continue  # one that has another one in a hole
        assert region.bbox == tuple(found.boxes[k])
        assert np.allclose(np.array(region.centroid) + 0.5, found.centroids[k])
        inside = label == region.label
        sums = [part[inside].sum(dtype=int) for part in maps.probability]
        assert found.classes[k] == np.argmax(sums) + 1
        assert found.confidences[k] == pytest.approx(np.minimum(foreground, 255)[inside].mean() / 255)
        votes = np.bincount(maps.groups[inside & (maps.groups < 255)], minlength=5)
        assert found.groups[k] == votes.argmax()


@pytest.mark.parametrize("seed", range(3))
def test_rings_hold_exactly_the_pixels(seed):
    found = find_nuclei(random_maps(seed), RULES)
    for mask, box, ring in zip(found.masks, found.boxes, found.contours, strict=True):
        rows, columns = np.mgrid[box[0] - 1 : box[2] + 1, box[1] - 1 : box[3] + 1]
        centres = np.stack([rows.ravel(), columns.ravel()], axis=1) + 0.5
        assert np.array_equal(points_in_poly(centres, ring).reshape(rows.shape), np.pad(mask, 1))
        polygon = Polygon(ring[:, ::-1])
        assert polygon.is_valid and polygon.exterior.is_ccw
        assert not np.array_equal(ring[0], ring[-1])


def test_every_place_and_neighbourhood_gives_the_same_nuclei():
    clump = discs((40, 64), (20, 18, 14), (20, 43, 14))
    alone = find_nuclei(maps_of(clump), RULES, (31, 57))
    assert len(alone) == 2
    wide = np.zeros((120, 200), bool)
    wide[31:71, 57:121] = clump
    wide |= discs(wide.shape, (20, 20, 10), (100, 150, 12), (20, 100, 8), (45, 140, 15))
    whole = rows_of(find_nuclei(maps_of(wide), RULES))
    assert len(whole) == 6
    assert rows_of(alone).items() <= whole.items()
    for y, x in ((25, 50), (31, 57), (0, 31)):
        crop = find_nuclei(maps_of(wide[y:75, x:122]), RULES, (y, x))
        assert rows_of(alone).items() <= rows_of(crop).items()


def test_small_holes_are_filled_and_large_ones_are_not():
    mask = discs((60, 60), (30, 30, 25))
    mask[20:22, 20:22] = False
    mask[30:44, 25:39] = False
    filled = fill_small_holes(mask, 4)
    assert filled[20:22, 20:22].all() and not filled[30:44, 25:39].any()
    assert np.array_equal(fill_small_holes(mask, 3), mask)
    corner = np.ones((5, 5), bool)
    corner[0, 0] = corner[2, 4] = False  # at the rim: more of it may lie outside
    assert np.array_equal(fill_small_holes(corner, 9), corner)
    leak = np.ones((5, 5), bool)
    leak[2, 2] = leak[1, 1] = leak[0, 0] = False  # open to the outside through corners
    assert np.array_equal(fill_small_holes(leak, 9), leak)


def test_a_nucleus_in_a_large_hole_is_one_of_its_own():
    ring = discs((60, 60), (30, 30, 28)) & ~discs((60, 60), (30, 30, 20))
    rules = RULES._replace(whole_area=1e9)
    found = find_nuclei(maps_of(ring | discs((60, 60), (30, 30, 6))), rules)
    assert found.areas.tolist() == [discs((60, 60), (30, 30, 28)).sum(), discs((60, 60), (30, 30, 6)).sum()]


def test_threshold_and_least_area_are_kept():
    probability = np.zeros((1, 20, 20), np.uint8)
    probability[0, 2:6, 2:6], probability[0, 10:14, 2:6], probability[0, 10, 10] = 128, 127, 255
    assert len(find_nuclei(Maps(probability), RULES)) == 0, "not sure enough"
    found = find_nuclei(Maps(probability), RULES._replace(min_confidence=0.5))
    assert found.boxes.tolist() == [[2, 2, 6, 6]] and found.dropped == 1
    assert found.groups.tolist() == [-1] and found.confidences.tolist() == [128 / 255]
    assert len(find_nuclei(Maps(probability), RULES._replace(threshold=100, min_area=1, min_confidence=0))) == 3


def test_classes_add_up_to_the_foreground():
    probability = np.zeros((2, 10, 10), np.uint8)
    probability[0, 2:6, 2:6], probability[1, 2:6, 2:6] = 60, 70
    probability[:, 7:, 7:] = 200  # rounding and more: at most one
    found = find_nuclei(Maps(probability), RULES._replace(min_confidence=0))
    assert found.classes.tolist() == [2, 1]
    assert found.confidences.tolist() == [130 / 255, 1.0]


def test_groups_are_unknown_where_none_was_computed():
    mask = discs((30, 30), (15, 15, 8))
    assert find_nuclei(maps_of(mask, group=255), RULES).groups.tolist() == [-1]
    assert find_nuclei(maps_of(mask, group=3), RULES).groups.tolist() == [3]


@pytest.mark.parametrize("size", [(40, 50), (1, 1)])
def test_nothing_is_found_in_nothing(size):
    found = find_nuclei(maps_of(np.zeros(size, bool)), RULES)
    assert len(found) == 0 and found.boxes.shape == (0, 4) and found.centroids.shape == (0, 2)
    assert found.first_pixels.shape == (0, 2)


def test_everything_is_foreground():
    found = find_nuclei(maps_of(np.ones((20, 30), bool)), RULES._replace(whole_area=1e9))
    assert found.areas.tolist() == [600]
    assert Polygon(found.contours[0]).area == pytest.approx(600 - 4 / 8)


def test_pixels_that_touch_at_corners_are_apart():
    mask = np.zeros((12, 12), bool)
    mask[2:5, 2:5] = mask[5:8, 5:8] = True
    assert len(find_nuclei(maps_of(mask), RULES)) == ndimage.label(mask)[1] == 2
