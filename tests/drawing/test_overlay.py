"""Overlays change the pixels that they mean, and no others."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from monai_seunet.drawing.overlay import CONTOUR_COLOURS, add_legend, draw_contours, draw_scales, rgb, scale_names
from monai_seunet.drawing.style import head_colours


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 200, (60, 80, 3)).astype(np.uint8)


@pytest.fixture
def labels():
    labels = np.zeros((60, 80), np.uint8)
    labels[10:30, 10:30] = 1
    labels[10:30, 30:50] = 2
    return labels


@pytest.mark.parametrize("width", [1, 2, 3])
def test_contours_lie_just_inside_of_each_object(image, labels, width):
    drawn = draw_contours(image, labels, width)
    for label in (1, 2):
        inside = labels == label
        line = inside & ~binary_erosion(inside, iterations=width)
        assert (drawn[line] == rgb(CONTOUR_COLOURS[label - 1])).all()
        assert (drawn[inside & ~line] == image[inside & ~line]).all()
    assert (drawn[labels == 0] == image[labels == 0]).all()


def test_the_input_stays_as_it_is(image, labels):
    before = image.copy()
    draw_contours(image, labels)
    draw_scales(image, labels, labels, 3)
    assert np.array_equal(image, before)


def test_no_objects_no_contours(image):
    assert np.array_equal(draw_contours(image, np.zeros((60, 80), int)), image)


def test_objects_are_tinted_by_the_scale_that_decided(image, labels):
    scale_map = np.where(labels == 1, 0, 4)
    drawn = draw_scales(image, scale_map, labels, 5).astype(float)
    grey = image.astype(float).mean(2, keepdims=True)
    assert np.abs(drawn[labels == 0] - grey[labels == 0]).max() <= 0.5
    for label, group in ((1, 0), (2, 4)):
        tint = (drawn - 0.35 * grey)[labels == label] / 0.65
        assert np.abs(tint - rgb(head_colours(5)[group])).max() < 1


def test_a_legend_is_below_and_wraps(image):
    entries = [(colour, f"name {k}") for k, colour in enumerate(CONTOUR_COLOURS)]
    one, many = add_legend(image, entries[:1]), add_legend(image, entries, "title")
    for result in (one, many):
        assert np.array_equal(result[:60], image)
    assert many.shape[0] > one.shape[0] > 60
    for colour, _ in entries:
        assert (many[60:] == rgb(colour)).all(axis=2).any()


def test_names_of_scales():
    assert scale_names([0.5, 1.75]) == ["0.5 px", "1.75 px"]
    assert scale_names([0.5, 1.75], 0.25) == ["0.5 px (0.12 µm)", "1.75 px (0.44 µm)"]
