import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from monai_seunet.data.instances import part_instances
from monai_seunet.transforms.instances import CheckInstances, CheckInstancesd
from monai_seunet.utils.errors import InputError

SIZE = (60, 80)
pytestmark = pytest.mark.filterwarnings("error")


def squares(*places: tuple[int, int, int], side: int = 6) -> np.ndarray:
    """Squares (row, column, number)."""
    label = np.zeros(SIZE, np.int64)
    for row, column, number in places:
        label[row : row + side, column : column + side] = number
    return label


def disc(row: float, column: float, radius: float) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def same_objects(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two labels tell the same objects apart, in any numbering."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return all(len(np.unique(row)) == pairs.shape[1] for row in pairs) and np.array_equal(one > 0, other > 0)


def named(label: np.ndarray) -> MetaTensor:
    return MetaTensor(torch.tensor(label)[None], torch.eye(4) * 0.5, {"filename_or_obj": "x.png"})


def checked(label: np.ndarray) -> np.ndarray:
    """What the transform makes of a label, (H, W)."""
    return np.asarray(CheckInstances()(label[None])[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.int64, np.float32, np.float64])
def test_good_labels_keep_their_numbers(dtype):
    label = squares((2, 2, 7), (2, 8, 200), (40, 40, 3))
    result = checked(label.astype(dtype))
    assert np.array_equal(result, label) and result.dtype == np.int32


def test_file_and_affine_stay():
    label = named(squares((2, 2, 7)))
    result = CheckInstances()(label)
    assert isinstance(result, MetaTensor) and result.dtype == torch.int32
    assert result.meta["filename_or_obj"] == "x.png" and torch.equal(result.affine, label.affine)


@pytest.mark.parametrize(
    "label",
    [
        squares(),
        squares((10, 10, 255)),
        disc(30, 40, 15) | squares((5, 40, 1), side=2).astype(bool),
        disc(30, 40, 15) & (np.arange(SIZE[1]) % 80 != 38),
        squares((2, 2, 1), (8, 8, 1), (14, 14, 1)),
        disc(30, 40, 15) | squares(*((row, 24 + 32 * (row % 2), 1) for row in range(20, 40)), side=1).astype(bool),
        np.ones(SIZE, bool),
    ],
    ids=["none", "one", "with a speck", "in two parts", "met at corners", "with many specks", "all"],
)
def test_images_of_no_or_one_nucleus_pass(label):
    assert np.array_equal(checked(label) > 0, label > 0) and checked(label).max() == label.max()


GRID = [(row, column) for row in range(2, 50, 8) for column in range(2, 70, 8)]  # gaps of 2 pixels
FAR = [(5, 5), (40, 60)]


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("places", [FAR, GRID[:3], GRID], ids=["two far apart", "three side by side", "many"])
def test_a_binary_mask_is_refused_by_file(places, value):
    label = squares(*((*place, value) for place in places))
    with pytest.raises(InputError, match=f"x.png: 1 number.* for {len(places)} separate areas") as error:
        CheckInstances()(named(label))
    assert all(text in str(error.value) for text in ("number the nuclei", "--threshold 1", "--label-kind classes"))
    assert "\n" not in str(error.value)
    numbered = squares(*((*place, number) for number, place in enumerate(places, start=1)))
    assert np.array_equal(checked(numbered), numbered)


def test_masks_of_classes_or_with_a_large_clump_and_noise_are_refused():
    clump = squares(*((row, column, 1) for row, column in GRID if column > 50))
    clump[:, :40] = 1
    classes = squares(*((*place, 1 + index % 3) for index, place in enumerate(GRID)))
    noise = np.zeros((300, 300), int)  # refused before all its pairs are looked at
    noise[::2, ::2] = 9
    noise[1::2, 1::2] = np.arange(150 * 150).reshape(150, 150) + 10
    noise[1::2, 1::2][:2] = 0
    refusals = ["as a binary mask", r"3 number.* for 54 separate areas.* or classes", "separate areas"]
    for label, message in zip((clump, classes, noise), refusals, strict=True):
        with pytest.raises(InputError, match=message):
            part_instances(label, "x.png")


def test_areas_of_one_number_that_lie_apart_become_objects_with_one_warning():
    label = squares((2, 2, 5), (2, 30, 5), (40, 2, 5), (40, 60, 8), (40, 70, 8))  # 8: a gap of 4 pixels
    with pytest.warns(UserWarning, match=r"x.png: 2 object\(s\) lie apart") as caught:
        result = CheckInstances()(named(label))
    assert len(caught) == 1
    assert same_objects(np.asarray(result[0]), squares((2, 2, 1), (2, 30, 2), (40, 2, 3), (40, 60, 4), (40, 70, 4)))
    assert np.array_equal(checked(np.asarray(result[0])), result[0]), "a second time changes nothing"


@pytest.mark.parametrize(("gap", "parted"), [(6, 0), (7, 1)])
def test_apart_is_further_than_their_own_size(gap, parted):
    for places in [((2, 2, 5), (2, 8 + gap, 5)), ((2, 2, 5), (8 + gap, 2, 5))]:
        assert part_instances(squares(*places, (50, 70, 6)), "x.png").parted == parted


def test_parts_that_others_link_stay_together():
    row = [(10, 2 + 10 * step, 4) for step in range(5)]
    assert part_instances(squares(*row, (50, 70, 6)), "x.png").parted == 0
    assert part_instances(squares(row[0], *row[3:], (50, 70, 6)), "x.png").parted == 1


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 120])
def test_a_nucleus_that_another_one_cuts_in_two_stays_one(angle):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    away = (y - 30) * np.cos(np.radians(angle)) - (x - 40) * np.sin(np.radians(angle))
    label = 300 * disc(30, 40, 12)
    label[(np.abs(away) <= 5) & disc(30, 40, 25)] = 40000
    assert np.array_equal(checked(label), label) and (label == 300).any()


@pytest.mark.parametrize("pose", range(8))
def test_numbering_and_pose_do_not_matter(pose):
    random = np.random.default_rng(0)
    label = squares(*(((row, column, random.integers(1, 20)) for row, column in GRID)), side=4)

    def turned(label: np.ndarray) -> np.ndarray:
        return np.rot90(label.T if pose > 3 else label, pose % 4)

    result = part_instances(label, "x.png")
    assert result.parted > 10 and not same_objects(result.label, label)
    renumbered = np.concatenate([[0], random.permutation(1000)[:20] + 1])[label]
    for other in (turned(label), turned(renumbered)):
        again = part_instances(other, "x.png")
        assert again.parted == result.parted and same_objects(again.label, turned(result.label))


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.float32, np.float64, np.uint64])
def test_large_sparse_numbers_become_small_in_their_order(dtype):
    label = squares((2, 2, 100_000), (2, 8, 70_000), (40, 40, 16_000_000)).astype(dtype)
    assert np.array_equal(checked(label), squares((2, 2, 2), (2, 8, 1), (40, 40, 3)))
    twice = squares((2, 2, 65_535), (2, 40, 65_535), (40, 40, 9)).astype(dtype)
    assert np.array_equal(part_instances(twice, "x.png").label, squares((2, 2, 2), (2, 40, 3), (40, 40, 1)))
    if dtype == np.uint64:
        assert np.array_equal(checked(label << np.uint64(40)), checked(label))
    assert np.array_equal(checked(np.where(label == 0, 100_001, label)) == 3, label == 0), "no background"


def test_more_nuclei_than_16_bits_number_stay_apart():
    label = np.arange(1, 90_001).reshape(300, 300)
    assert np.array_equal(checked(label), label)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (squares((2, 2, 3)) / 2, "got 1.5 of float64; save integers"),
        (np.full(SIZE, np.nan), "got nan"),
        (np.full(SIZE, np.inf), "got inf"),
        (squares((2, 2, 2**24)).astype(np.float32), "got 16777216 of float32"),
        (-squares((2, 2, 3)), "numbers from 0 on; got -3"),
    ],
)
def test_numbers_that_mean_nothing_are_refused_by_file(label, message):
    with pytest.raises(InputError, match=message) as error:
        CheckInstances()(named(label))
    assert "x.png" in str(error.value) and "\n" not in str(error.value)


def test_channels_and_classes_are_refused_by_file():
    label = MetaTensor(torch.zeros(3, 4, 4), meta={"filename_or_obj": "x.png"})
    with pytest.raises(InputError, match=r"x.png: the label has 3 channels"):
        CheckInstances()(label)
    with pytest.raises(InputError, match=r"x.png: the label holds classes, but directions .* --label-kind instances"):
        CheckInstances("classes")(label[:1])


def test_nuclei_that_the_border_cuts_are_kept():
    label = squares((0, 0, 1), (0, 20, 2), (20, 0, 3), (54, 30, 4), (20, 74, 5), (54, 74, 6))
    assert np.array_equal(checked(label), label) and label.max() == 6


def test_array_and_dictionary_agree_and_leave_the_input():
    label = squares((2, 2, 100_000), (40, 60, 100_000), (2, 40, 1))[None]
    item = {"instances": label, "label": label}
    with pytest.warns(UserWarning, match="apart"):
        result = CheckInstancesd("instances")(item)
    with pytest.warns(UserWarning, match="apart"):
        assert np.array_equal(result["instances"], CheckInstances()(label))
    assert result["label"] is label and set(np.unique(label)) == {0, 1, 100_000}
    assert CheckInstancesd("instances", allow_missing_keys=True)({"label": label}).keys() == {"label"}
    with pytest.raises(KeyError):
        CheckInstancesd("instances")({"label": label})
