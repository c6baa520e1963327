"""Tiles cover exactly, resampling keeps brightness, place and type."""

import numpy as np
import pytest
import torch
from monai.transforms import Resize
from skimage.transform import resize as skimage_resize

from monai_seunet.data.tile_grid import tile_grid, tile_starts
from monai_seunet.transforms.spatial.functional import resample, scaled_size


def test_the_tiling_of_the_paper():
    grid = tile_grid((1000, 1000), 400, 200)
    assert len(grid) == 16 and [rows.start for rows, _ in grid[::4]] == [0, 200, 400, 600]


@pytest.mark.parametrize("seed", range(20))
def test_tiles_cover_every_pixel_and_stay_inside(seed):
    draw = np.random.default_rng(seed)
    size = draw.integers(20, 90, 2)
    tile = [int(draw.integers(1, side + 1)) for side in size]
    stride = [int(draw.integers(1, side + 1)) for side in tile]
    covered = np.zeros(size, int)
    grid = tile_grid(tuple(int(side) for side in size), tile, stride)
    for rows, columns in grid:
        assert covered[rows, columns].shape == tuple(tile)
        covered[rows, columns] += 1
    assert covered.min() >= 1
    assert len({(rows.start, columns.start) for rows, columns in grid}) == len(grid)


def test_the_last_tile_is_shifted_back_only_where_needed():
    assert tile_starts(10, 4, 3) == [0, 3, 6]
    assert tile_starts(11, 4, 3) == [0, 3, 6, 7]
    assert tile_starts(4, 4, 3) == [0]


@pytest.mark.parametrize(("tile", "stride"), [(0, 1), (11, 4), (4, 0), (4, 5)])
def test_tiles_that_cannot_cover_are_refused(tile, stride):
    with pytest.raises(ValueError, match=f"{tile}|{stride}"):
        tile_starts(10, tile, stride)


def test_scaled_size_never_vanishes():
    assert scaled_size((3, 1000), (0.1, 0.25)) == (1, 250)


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (64, 64), (130, 130)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_constant_image_stays_constant_to_its_border(size, dtype):
    image = torch.full((3, 64, 64), 201, dtype=dtype)
    result = resample(image, size)
    assert result.dtype == dtype and result.shape == (3, *size)
    torch.testing.assert_close(result, torch.full_like(result, 201))


def test_monai_resize_darkens_the_border():
    """The reason why `resample` exists; should this fail, MONAI's own can take its place."""
    result = Resize((16, 16), mode="bilinear", anti_aliasing=True)(torch.ones(1, 64, 64))
    assert result.min() < 0.9


def test_shrinking_does_not_alias():
    """Stripes above the new Nyquist frequency become grey instead of other stripes."""
    stripes = torch.zeros(1, 64, 66)
    stripes[:, :, ::2] = 1
    inner = (slice(None), slice(None), slice(2, -2))
    assert (resample(stripes, (16, 20))[inner] - 0.5).abs().max() < 0.1
    assert (resample(stripes, (16, 20), "nearest")[inner] - 0.5).abs().max() == 0.5


def test_smooth_images_shrink_as_in_scikit_image():
    rows, columns = np.mgrid[:96, :96]
    waves = np.sin(rows / 15) * np.cos(columns / 11 + 1)
    expected = skimage_resize(waves, (40, 56), order=1, anti_aliasing=True)
    result = resample(torch.from_numpy(waves)[None], (40, 56))[0].numpy()
    assert np.abs(result - expected)[4:-4, 4:-4].max() < 0.01


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("size", [(7, 31), (13, 13), (40, 26), (39, 39)])
def test_nearest_copies_the_pixel_under_the_centre(size, dtype, generator):
    label = torch.randint(0, 200, (1, 13, 13), generator=generator).to(dtype)
    expected = skimage_resize(label[0].numpy(), size, order=0, anti_aliasing=False, preserve_range=True)
    result = resample(label, size, "nearest")
    assert result.dtype == dtype and np.array_equal(result[0].numpy(), expected)


def test_large_instance_numbers_survive():
    label = torch.full((1, 4, 4), 2**24 + 1, dtype=torch.int64)
    assert (resample(label, (9, 9), "nearest") == 2**24 + 1).all()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"'cubic'.*bilinear.*nearest"):
        resample(torch.zeros(1, 4, 4), (2, 2), "cubic")
