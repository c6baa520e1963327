import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from monai_seunet.transforms.labels import CheckLabels, CheckLabelsd, InstancesToClasses, InstancesToClassesd
from monai_seunet.utils.errors import InputError


def meta(values, name="x.png"):
    return MetaTensor(torch.as_tensor(values), meta={"filename_or_obj": name})


IMAGE = torch.rand(3, 2, 3)
LABEL = torch.tensor([[[0, 1, 1], [0, 0, 1]]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int64])
def test_objects_become_the_one_class(dtype):
    label = meta(torch.tensor([[[0, 7, 7], [0, 200, 1]]]).to(dtype))
    classes = InstancesToClasses()(label)
    assert classes.dtype == dtype and classes.meta["filename_or_obj"] == "x.png"
    assert classes.tolist() == [[[0, 1, 1], [0, 1, 1]]]
    assert torch.equal(InstancesToClasses()(classes), classes)


def test_renumbered_objects_give_the_same_classes():
    label = torch.randint(0, 5, (1, 9, 9))
    numbers = torch.tensor([0, 40, 3, 17, 9])
    assert torch.equal(InstancesToClasses()(numbers[label]), InstancesToClasses()(label))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_objects_that_touch_are_parted_by_as_many_rows_as_asked(rows):
    label = torch.zeros(1, 12, 20, dtype=torch.long)
    label[:, 2:10, :10], label[:, 2:10, 10:18] = 1, 2
    parted = InstancesToClasses(separate=rows)(label)
    assert torch.equal(parted[0, 5], torch.tensor([1] * (10 - rows) + [0] * 2 * rows + [1] * (8 - rows) + [0, 0]))
    far = label.clone()
    far[..., 10] = 0
    assert torch.equal(InstancesToClasses(separate=rows)(far), InstancesToClasses()(far)), "they do not touch"


def test_objects_that_touch_are_parted():
    label = torch.tensor([[[1, 1, 2, 0], [1, 1, 2, 0], [0, 3, 0, 4], [0, 3, 0, 4]]])
    parted = torch.tensor([[[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 1]]])
    convert = InstancesToClasses(separate=1)
    assert torch.equal(convert(label), parted)
    assert torch.equal(convert(convert(label)), parted)
    with pytest.raises(InputError, match="separate_objects is -1"):
        InstancesToClasses(separate=-1)
    assert convert(label.numpy().astype(np.uint16)).tolist() == parted.tolist()
    convert = InstancesToClasses(separate=2)
    large = torch.randint(0, 4, (1, 5, 5)).repeat_interleave(5, 1).repeat_interleave(5, 2)
    for turned in (large.rot90(1, (1, 2)), large.flip(1)):
        assert not torch.equal(convert(turned), InstancesToClasses()(turned))
    assert torch.equal(convert(large.rot90(1, (1, 2))), convert(large).rot90(1, (1, 2)))
    assert torch.equal(convert(large.flip(1)), convert(large).flip(1))


def test_array_and_dictionary_agree_and_leave_the_input():
    label = np.array([[[0, 3], [4, 0]]], dtype=np.uint16)
    item = {"label": label, "image": IMAGE}
    result = InstancesToClassesd("label")(item)
    assert isinstance(result["label"], np.ndarray) and result["image"] is IMAGE
    assert np.array_equal(result["label"], InstancesToClasses()(label)) and label.max() == 4


@pytest.mark.parametrize("ignored", [None, 255])
def test_good_labels_pass_unchanged(ignored):
    label = LABEL.clone()
    if ignored:
        label[0, 0, 0] = ignored
    item = {"image": IMAGE, "label": label, "group": "a"}
    result = CheckLabelsd(2, ignored_label=ignored)(item)
    assert result["label"] is label and result["image"] is IMAGE and result["group"] == "a"


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (IMAGE, LABEL * 2, "holds 2, which is no class index below 2"),
        (IMAGE, LABEL - 1, "holds -1"),
        (IMAGE, LABEL * 0.5, "holds 0.5"),
        (IMAGE, LABEL * float("nan"), "holds nan"),
        (IMAGE, LABEL * 255, "holds 255"),
        (IMAGE, LABEL.mT, r"\[3, 2\] pixels, its image .* has \[2, 3\]"),
        (IMAGE, LABEL.repeat(2, 1, 1), "2 channel"),
        (IMAGE.clone().index_fill_(2, torch.tensor(1), float("nan")), LABEL, "6 values that are NaN"),
        (IMAGE / 0, LABEL, "NaN or infinite"),
    ],
)
def test_bad_labels_are_refused_by_file(image, label, message):
    with pytest.raises(InputError, match=message) as error:
        CheckLabels(2)(meta(image), meta(label))
    assert "x.png" in str(error.value) and "\n" not in str(error.value)


def test_items_without_label_pass_only_where_allowed():
    assert "label" not in CheckLabelsd(2, allow_missing_keys=True)({"image": IMAGE})
    with pytest.raises(KeyError):
        CheckLabelsd(2)({"image": IMAGE})


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="num_classes is 1"):
        CheckLabels(1)
