import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from monai_seunet.data.clustering import group_by_look, look_at


def picture(colour, seed, side=96):
    """Blobs that are larger than a pixel, as nuclei are, on a background of this colour."""
    blobs = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), 2)
    dark = 60 * (blobs > 0.1)[:, :, None]
    return np.clip(np.array(colour) - gaussian_filter(dark.astype(float), (1, 1, 0)), 0, 255).astype(np.uint8)


def tiles(image, name):
    half = image.shape[0] // 2
    parts = [(row, column) for row in range(2) for column in range(2)]
    return {f"{name}{r}{c}": image[r * half : (r + 1) * half, c * half : (c + 1) * half] for r, c in parts}


def groups_of(images):
    return group_by_look({name: look_at(image) for name, image in images.items()})


PURPLE, WHITE = (180, 160, 215), (230, 230, 225)


def test_tiles_of_a_picture_come_together_whatever_their_colours():
    image = np.clip(picture(PURPLE, 0).astype(float) - np.linspace(0, 90, 96)[:, None, None], 0, 255).astype(np.uint8)
    apart = {name: look_at(tile).colours for name, tile in tiles(image, "a").items()}
    assert np.linalg.norm(apart["a00"] - apart["a10"]) > 4, "by colour alone they would be two groups"
    assert set(groups_of(tiles(image, "a")).values()) == {"a00"}


def test_pictures_of_other_looks_stay_apart_and_those_of_one_look_do_not():
    images = tiles(picture(PURPLE, 1), "a") | tiles(picture(PURPLE, 2), "b") | tiles(picture(WHITE, 3), "c")
    groups = groups_of(images)
    assert {name[0]: group for name, group in groups.items()} == {"a": "a00", "b": "a00", "c": "c00"}
    assert len(set(groups.values())) == 2


def test_identical_images_share_a_group_and_the_order_does_not_matter():
    images = {str(i): picture((40 * i, 60, 200 - 30 * i), i) for i in range(5)}
    images |= {"twin": images["3"].copy()}
    groups = groups_of(images)
    assert groups["twin"] == groups["3"] and len(set(groups.values())) == 5
    assert groups_of(dict(reversed(images.items()))) == groups


def test_sizes_are_never_mixed():
    images = {"a": picture(WHITE, 0), "b": picture(WHITE, 0)[:80]}
    assert groups_of(images) == {"a": "a", "b": "b"}


@pytest.mark.parametrize("value", [0, 255])
def test_empty_images_are_no_tiles_of_each_other_by_their_borders(value):
    blank = np.full((32, 32, 3), value, np.uint8)
    assert all(np.abs(border).max() == 0 for border in look_at(blank).borders)
    assert groups_of({"only": blank}) == {"only": "only"}
