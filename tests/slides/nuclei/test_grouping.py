"""Pixels to objects by the directions to their centres."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from touching_objects import agreement, in_canvas, laid_out, pair, row, smooth_directions, triangle, true_directions

from monai_seunet.slides.nuclei.direct import group_pixels
from monai_seunet.slides.nuclei.finder import NucleusFinder
from monai_seunet.slides.nuclei.rules import NucleusRules

SCENES = {"triangle": triangle, "row": row, "pair": pair}
SIZES = [
    *(("triangle", radius) for radius in (4, 5, 7, 10, 14, 20, 28, 40, 60)),
    *(("row", radius) for radius in (6, 8, 12, 17, 24, 34, 48, 60)),  # the short semi-axis is 4.2 pixels or more
    *(("pair", radius) for radius in (9, 13, 18, 25, 36, 60)),  # the small disc has a radius of 4 pixels or more
]


def grouped(numbers: np.ndarray, directions: torch.Tensor | None = None) -> np.ndarray:
    towards = true_directions(numbers) if directions is None else directions
    return group_pixels(torch.from_numpy(numbers > 0)[None], towards[None])[0].numpy()


def same_objects(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two maps have the same objects, whatever their numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(one)) == len(np.unique(other)) and np.array_equal(one > 0, other > 0)


@pytest.mark.parametrize(("scene", "radius"), SIZES)
def test_objects_that_touch_come_back_and_a_watershed_does_not_find_them(scene, radius):
    truth = SCENES[scene](radius)
    assert ndimage.label(truth)[1] == 1, "they touch"
    found = grouped(truth)
    assert np.array_equal(found > 0, truth > 0)
    assert found.max() <= truth.size and len(np.unique(found)) - 1 == truth.max()
    assert agreement(found, truth) > 0.99
    assert agreement(ndimage.label(truth)[0], truth) < 0.6
    mask = torch.from_numpy(np.stack([truth == 0, truth > 0])).float()
    shed = NucleusFinder(2.5 / radius, NucleusRules(min_area=0, radius=0))(mask)
    assert agreement(shed, truth) < (0.9 if scene == "row" else 0.6)


@pytest.mark.parametrize("cells", [2, 4])
@pytest.mark.parametrize(("scene", "radius"), [("triangle", 2), ("triangle", 2.5), ("row", 3), ("row", 4)])
def test_objects_of_a_few_pixels_want_finer_cells(scene, radius, cells):
    truth = SCENES[scene](radius)
    given = torch.from_numpy(truth > 0)[None], true_directions(truth)[None]
    found = group_pixels(*given, cells_per_pixel=cells)[0].numpy()
    assert len(np.unique(found)) - 1 == truth.max() and found.max() <= truth.size * cells**2
    assert agreement(found, truth) > 0.97
    assert len(np.unique(group_pixels(*given))) - 1 < truth.max(), "the control: cells of a pixel"


@pytest.mark.parametrize("noise", [0.15, 0.3])
@pytest.mark.parametrize("scene", SCENES)
def test_directions_need_not_be_exact(scene, noise):
    truth = SCENES[scene](18)
    towards = true_directions(truth) + noise * torch.randn(2, *truth.shape)
    assert agreement(grouped(truth, towards), truth) > 0.95
    other = smooth_directions(0, truth.shape, 3)
    assert agreement(grouped(truth, other), truth) < 0.6, "the control: other directions give other objects"


def test_small_and_large_objects_in_one_image():
    at = {(0, 0): triangle(60), (10, 290): triangle(5), (60, 290): pair(18), (160, 280): row(10), (230, 290): row(6)}
    truth, _ = laid_out((320, 400), at)
    found = grouped(truth)
    assert truth.max() == 3 + 3 + 2 + 4 + 4 == len(np.unique(found)) - 1
    assert agreement(found, truth) > 0.99


@pytest.mark.parametrize("zoom", [2, 3, 4])
def test_a_zoom_of_the_objects_zooms_the_result(zoom):
    truth = triangle(10)
    zoomed = truth.repeat(zoom, 0).repeat(zoom, 1)
    assert agreement(grouped(zoomed), grouped(truth).repeat(zoom, 0).repeat(zoom, 1)) > 0.99


def test_an_image_of_a_batch_depends_on_no_other():
    parts = [in_canvas(part, (90, 90), (2, 3)) for part in (triangle(12), row(9), pair(14), np.zeros((5, 5), int))]
    towards = [true_directions(part) for part in parts]
    towards[3] = smooth_directions(1, (90, 90), 4)
    masks = torch.from_numpy(np.stack(parts) > 0)
    alone = [group_pixels(mask[None], own[None])[0] for mask, own in zip(masks, towards, strict=True)]
    assert [len(one.unique()) - 1 for one in alone] == [3, 4, 2, 0]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 2, 0]):
        found = group_pixels(masks[order], torch.stack([towards[n] for n in order]))
        assert torch.equal(found, torch.stack([alone[n] for n in order]))
        assert found.max() <= 90 * 90
    mixed = group_pixels(masks[:2], torch.stack([towards[1], towards[0]]))
    assert not torch.equal(mixed[0], alone[0]), "the control: the directions matter"


@pytest.mark.parametrize("seed", range(3))
def test_any_field_gives_numbers_to_the_foreground_alone(seed):
    mask = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((60, 75)), 3) > 0
    found = grouped(mask.astype(int), smooth_directions(seed, mask.shape, 2 + seed))
    assert np.array_equal(found > 0, mask) and found.max() <= 60 * 75 and len(np.unique(found)) > 5


@pytest.mark.parametrize("batch", [0, 1, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 1), (40, 33)])
def test_no_foreground_gives_no_objects(batch, size):
    found = group_pixels(torch.zeros(batch, *size, dtype=torch.bool), torch.randn(batch, 2, *size))
    assert found.shape == (batch, *size) and found.dtype == torch.int64 and not found.any()


@pytest.mark.parametrize(("y", "x"), [(1, 0), (0, -1), (0.6, 0.8)])
def test_a_constant_field_leads_everything_to_the_border(y, x):
    towards = torch.tensor([y, x], dtype=torch.float32).view(2, 1, 1).expand(2, 20, 24)
    found = grouped(np.ones((20, 24), int), towards)
    assert (found > 0).all()
    if y and x:
        assert len(np.unique(found)) == 1, "to one corner"
    else:
        along = found if y else found.T
        assert (along == along[:1]).all(), "all of a column go one way"


def test_without_directions_the_pixels_that_lie_close_are_one():
    assert len(np.unique(grouped(np.ones((3, 3), int), torch.zeros(2, 3, 3)))) == 1
    apart = np.zeros((5, 64), int)
    apart[2, 3], apart[2, 60] = 1, 1
    assert len(np.unique(grouped(apart, torch.zeros(2, 5, 64)))) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_kind_of_number_of_the_directions_does_not_matter(dtype):
    truth = row(12)
    towards = (true_directions(truth) * 64).round() / 64  # which all of them hold exactly
    assert torch.equal(towards.to(dtype).float(), towards)
    expected = group_pixels(torch.from_numpy(truth > 0)[None], towards[None])
    found = group_pixels(torch.from_numpy(truth > 0)[None], towards[None].to(dtype))
    assert found.dtype == torch.int64 and torch.equal(found, expected) and len(found.unique()) == 5


@pytest.mark.parametrize("upright", [False, True])
def test_images_of_one_row_or_column(upright):
    truth = np.zeros((1, 70), np.int64)
    truth[0, 3:16], truth[0, 16:33], truth[0, 50:60] = 1, 2, 3
    centres = np.array([0, 9, 24, 54.5])
    towards = np.clip((centres[truth] - np.arange(70)) / 2.5, -1, 1) * (truth > 0)
    field = torch.from_numpy(np.stack([np.zeros_like(towards), towards])).float()
    if upright:
        truth, field = truth.T, field.flip(0).transpose(1, 2)
    assert agreement(grouped(np.ascontiguousarray(truth), field), truth) > 0.99


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(("down", "right"), [(16, 0), (0, 16), (16, 32), (5, 11)])
def test_a_shift_moves_the_objects(scene, down, right):
    truth = SCENES[scene](14)
    size = (truth.shape[0] + 64, truth.shape[1] + 64)
    found = grouped(in_canvas(truth, size, (16, 16)))
    moved = grouped(in_canvas(truth, size, (16 + down, 16 + right)))
    assert same_objects(np.roll(found, (down, right), (0, 1)), moved)
    assert not same_objects(found, moved), "the control: the shift is seen"


@pytest.mark.parametrize("scene", SCENES)
def test_turns_and_mirrors_move_the_objects(scene):
    truth = SCENES[scene](14)
    for change in (np.rot90, np.fliplr, np.transpose):
        moved = np.ascontiguousarray(change(truth))
        assert agreement(grouped(moved), np.ascontiguousarray(change(grouped(truth)))) > 0.98


def test_the_input_is_not_changed_and_need_not_be_contiguous():
    truth = row(9)
    towards = true_directions(truth)
    mask, field = torch.from_numpy(truth > 0)[None], towards[None]
    expected = group_pixels(mask, field)
    apart = field.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert torch.equal(group_pixels(mask.transpose(1, 2).contiguous().transpose(1, 2), apart), expected)
    assert torch.equal(mask[0], torch.from_numpy(truth > 0)) and torch.equal(field[0], true_directions(truth))


@pytest.mark.slow
def test_an_exported_graph_groups_other_images_too():
    class Grouping(torch.nn.Module):
        def forward(self, foreground, directions):
            return group_pixels(foreground, directions)

    one, other = (in_canvas(part, (48, 48), (1, 1)) for part in (triangle(8), pair(9)))
    inputs = [(torch.from_numpy(part > 0)[None], true_directions(part)[None]) for part in (one, other)]
    exported = torch.export.export(Grouping(), inputs[0]).module()
    for masks, towards in inputs:
        assert torch.equal(exported(masks, towards), group_pixels(masks, towards))
