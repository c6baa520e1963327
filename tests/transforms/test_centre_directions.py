"""Where the centres of objects lie, from an instance map."""

import math

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy import ndimage
from skimage.measure import regionprops

from monai_seunet.networks.layers.rotation.point_group import point_group
from monai_seunet.transforms import CentreDirections, CentreDirectionsd, SplitDirectionsd

ROUNDING = 1e-6  # of float32, for numbers of at most one


def shapes(height: int = 60, width: int = 80) -> np.ndarray:
    """A disc and an ellipse that touch, a crescent, a rectangle, one pixel, and objects that the borders cut."""
    rows, columns = np.mgrid[:height, :width]
    numbers = np.zeros((height, width), np.int64)
    numbers[(rows - 18) ** 2 + (columns - 16) ** 2 < 11**2] = 5
    ellipse = ((rows - 20) / 7) ** 2 + ((columns - 39) / 13) ** 2 < 1
    numbers[ellipse & (numbers == 0)] = 2
    crescent = (rows - 45) ** 2 + (columns - 24) ** 2 < 11**2
    numbers[crescent & ((rows - 45) ** 2 + (columns - 31) ** 2 >= 11**2)] = 9
    numbers[36:52, 50:60], numbers[55, 70] = 3, 1
    numbers[:6, 60:70], numbers[30:40, 77:], numbers[57:, 5:9], numbers[25:28, :3] = 4, 6, 7, 8
    return numbers


WHOLE = (5, 2, 9, 3, 1)


def directions_of(numbers: np.ndarray, **options: float) -> torch.Tensor:
    found = CentreDirections(**options)(torch.from_numpy(np.ascontiguousarray(numbers))[None])
    assert found.shape == (3, *numbers.shape) and found.dtype == torch.float32
    return found.double()


@pytest.mark.parametrize("core", [0.3, 0.6])
def test_directions_point_to_the_centre_of_mass_and_shrink_near_it(core):
    numbers = shapes()
    y, x, _ = directions_of(numbers, core=core).numpy()
    inside_seen = outside_seen = 0
    for region in regionprops(numbers):
        if region.label not in WHOLE:
            continue
        rows, columns = region.coords.T
        offset = np.array(region.centroid)[:, None] - region.coords.T
        distance, reach = np.hypot(*offset), core * math.sqrt(region.area / math.pi)
        found = np.stack([y[rows, columns], x[rows, columns]])
        outside = distance >= reach
        assert np.abs(np.hypot(*found)[outside] - 1).max(initial=0) < ROUNDING
        assert np.abs(found - offset / distance.clip(1e-9))[:, outside].max(initial=0) < ROUNDING
        assert np.abs(found - offset / reach)[:, ~outside].max(initial=0) < ROUNDING, "linear within the core"
        inside_seen, outside_seen = inside_seen + (~outside).sum(), outside_seen + outside.sum()
    assert inside_seen > 20 and outside_seen > 500
    assert y[55, 70] == x[55, 70] == 0, "an object of one pixel is its own centre"


def test_walking_there_in_one_step_arrives():
    numbers = shapes()
    y, x, mask = directions_of(numbers, core=100.0).numpy()
    reach = np.zeros(numbers.shape)
    for region in regionprops(numbers):
        reach[numbers == region.label] = 100 * math.sqrt(region.area / math.pi)
    rows, columns = np.mgrid[: numbers.shape[0], : numbers.shape[1]]
    for number in WHOLE:
        inside = numbers == number
        ends = np.stack([(rows + y * reach)[inside], (columns + x * reach)[inside]])
        assert np.abs(ends - np.array(ndimage.center_of_mass(inside))[:, None]).max() < 1e-3
        assert (mask[inside] == 1).all()


def test_cut_objects_and_background_have_no_direction_and_do_not_count():
    numbers = shapes()
    found = directions_of(numbers)
    whole = torch.from_numpy(np.isin(numbers, WHOLE))
    assert torch.equal(found[2], whole.double())
    assert not found[:, ~whole].any()
    assert (found[:2].norm(dim=0)[whole] > 0.9).double().mean() > 0.7
    moved = np.zeros((62, 82), np.int64)
    moved[1:-1, 1:-1] = numbers  # nothing is cut any more
    inner = directions_of(moved)[:, 1:-1, 1:-1]
    torch.testing.assert_close(inner[:, whole], found[:, whole], rtol=0, atol=ROUNDING)
    assert torch.equal(inner[2], torch.from_numpy(numbers > 0).double())


@pytest.mark.parametrize("seed", range(3))
def test_how_objects_are_numbered_does_not_matter(seed):
    numbers = shapes()
    names = np.random.default_rng(seed).choice(100_000, numbers.max() + 1, replace=False) + 1
    names[0] = 0
    assert torch.equal(directions_of(names[numbers]), directions_of(numbers))


def turned(g: int, found: torch.Tensor) -> torch.Tensor:
    """The target by element g: pixels move, vectors turn with them, and the mask is an image."""
    symmetries = point_group("p4m")
    moved, matrix = symmetries.act(g, found), torch.tensor(symmetries.matrix(g), dtype=found.dtype)
    return torch.cat([torch.einsum("ij,jhw->ihw", matrix, moved[:2]), moved[2:]])


@pytest.mark.parametrize("g", range(8))
def test_directions_turn_and_mirror_with_the_image(g):
    numbers = torch.from_numpy(shapes())
    moved = directions_of(point_group("p4m").act(g, numbers).numpy())
    torch.testing.assert_close(moved, turned(g, directions_of(numbers.numpy())), rtol=0, atol=ROUNDING)
    if g > 0:
        unturned = point_group("p4m").act(g, directions_of(numbers.numpy()))
        assert (moved - unturned).abs().max() > 1, "the control: the vectors have to turn"


@pytest.mark.parametrize("zoom", [2, 3, 5])
def test_a_zoom_moves_directions_and_does_not_change_them(zoom):
    """Where a zoom has a pixel in the middle of each, it is exact; elsewhere the way is longer by half a pixel."""
    numbers = shapes()
    found = directions_of(numbers)
    zoomed = directions_of(numbers.repeat(zoom, 0).repeat(zoom, 1))
    enlarged = found.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
    assert torch.equal(zoomed[2], enlarged[2])
    if zoom % 2:
        middle = zoomed[:, zoom // 2 :: zoom, zoom // 2 :: zoom]
        torch.testing.assert_close(middle, found, rtol=0, atol=ROUNDING)
    large = torch.from_numpy((numbers != 1).repeat(zoom, 0).repeat(zoom, 1))
    error = (zoomed - enlarged)[:2].norm(dim=0)[large]
    assert error.max() < 0.5 and error.mean() < 0.05
    other = directions_of(ndimage.zoom(numbers, (2, 1), order=0)).numpy()
    stretched = found.repeat_interleave(2, 1).numpy()
    assert np.abs(other - stretched).max() > 0.5, "the control: what is stretched points elsewhere"


def test_areas_of_one_number_that_lie_apart_are_two_objects():
    one, two = np.zeros((40, 60), np.int64), np.zeros((40, 60), np.int64)
    one[5:15, 5:15] = one[20:32, 40:50] = 3
    two[5:15, 5:15], two[20:32, 40:50] = 1, 2
    assert torch.equal(directions_of(one), directions_of(two))
    assert directions_of(one)[:2, 5, 5].tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    one[:3, 50:] = 3  # of the number, too, and cut
    assert torch.equal(directions_of(one)[2], directions_of(two)[2])


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.uint16, np.uint8])
def test_kinds_of_numbers_and_containers(dtype):
    numbers = shapes()
    expected = directions_of(numbers)
    largest = 70_000 if np.dtype(dtype).itemsize > 2 else int(np.iinfo(dtype).max)
    numbers = np.where(numbers == 5, largest, np.where(numbers == 2, largest - 1, numbers)).astype(dtype)
    found = CentreDirections()(numbers[None])
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    assert np.array_equal(found, expected.numpy())


def test_metadata_stay_and_the_input_is_not_changed():
    image = MetaTensor(torch.from_numpy(shapes())[None], meta={"mpp": (0.5, 0.5)})
    before = image.clone()
    found = CentreDirections()(image)
    assert isinstance(found, MetaTensor) and found.meta["mpp"] == (0.5, 0.5) and found.dtype == torch.float32
    assert torch.equal(image, before) and torch.equal(found.as_tensor().double(), directions_of(shapes()))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (12, 15)])
@pytest.mark.parametrize("value", [0, 4])
def test_images_without_a_whole_object_have_no_direction(size, value):
    assert not directions_of(np.full(size, value)).any()


def test_the_dictionary_form_is_the_same():
    item = {"instances": torch.from_numpy(shapes())[None], "other": 1}
    found = CentreDirectionsd("instances", core=0.5)(item)
    assert torch.equal(found["instances"], CentreDirections(0.5)(item["instances"])) and found["other"] == 1
    assert item["instances"].shape == (1, 60, 80), "the item itself stays"
    assert (found["instances"] - CentreDirections()(item["instances"])).abs().max() > 0.1
    assert CentreDirectionsd("instances", allow_missing_keys=True)({"other": 1}) == {"other": 1}
    with pytest.raises(KeyError, match="instances"):
        CentreDirectionsd("instances")({"other": 1})


@pytest.mark.parametrize("shape", [(5, 6, 7), (3, 5, 6, 7), (2, 3, 5, 6, 7)])
def test_directions_are_split_off_predictions(shape):
    outputs = torch.randn(shape)
    item = {"pred": outputs, "other": 1}
    found = SplitDirectionsd("pred", "directions")(item)
    assert set(found) == {"pred", "directions", "other"} and item["pred"] is outputs
    assert found["pred"].shape[-3:] == (3, 6, 7) and found["directions"].shape[-3:] == (2, 6, 7)
    assert torch.equal(torch.cat([found["pred"], found["directions"]], -3), outputs)
    assert set(SplitDirectionsd("pred")(item)) == {"pred", "other"}


def test_each_prediction_has_a_name_for_its_directions():
    item = {"one": torch.randn(4, 3, 3), "two": torch.randn(5, 3, 3)}
    found = SplitDirectionsd(["one", "two"], ["a", "b"])(item)
    assert torch.equal(found["a"], item["one"][2:]) and torch.equal(found["b"], item["two"][3:])
    some = SplitDirectionsd(["one", "three"], ["a", "c"], allow_missing_keys=True)(item)
    assert set(some) == {"one", "two", "a"} and torch.equal(some["two"], item["two"])
    with pytest.raises(ValueError, match="length"):
        SplitDirectionsd(["one", "two"], ["a", "b", "c"])
    with pytest.raises(KeyError, match="three"):
        SplitDirectionsd("three")(item)
