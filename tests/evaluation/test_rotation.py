import logging

import pytest
import torch
from monai.data import DataLoader, MetaTensor, decollate_batch

from monai_seunet.evaluation import RotationDataset, evaluated_region, float_type
from monai_seunet.evaluation.rotation import crop_to_multiple, posed
from monai_seunet.metrics.f1_difference import POSES
from monai_seunet.networks import PlainUNet
from monai_seunet.utils.errors import InputError


def items(size=(20, 31), **extra):
    generator = torch.Generator().manual_seed(0)
    result = []
    for _ in range(2):
        image = torch.rand(3, *size, generator=generator)
        instances = MetaTensor(torch.arange(image[:1].numel()).reshape(1, *size).to(torch.int32))
        label = MetaTensor((instances.as_tensor() > 0).to(torch.uint8), meta={"filename_or_obj": "a.png"})
        result.append({"image": MetaTensor(image), "label": label, "instances": instances, "name": "x", **extra})
    return result


def test_poses_are_the_eight_symmetries_of_the_square_without_a_changed_pixel():
    image = torch.arange(12.0).reshape(1, 3, 4)
    seen = [posed(image, pose) for pose in POSES]
    assert torch.equal(seen[0], image) and [tuple(x.shape[1:]) for x in seen] == [(3, 4), (4, 3)] * 4
    assert all(sorted(x.flatten().tolist()) == list(range(12)) for x in seen)
    assert len({(tuple(x.shape), tuple(x.flatten().tolist())) for x in seen}) == 8
    assert seen[1][0, :, 0].tolist() == [3, 2, 1, 0]  # counter-clockwise: the first row becomes the first column
    assert seen[4][0, 0].tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize("mirror", [False, True])
def test_every_image_comes_in_every_pose_with_its_label_and_instances(mirror):
    data = items()
    dataset = RotationDataset(data, mirror=mirror, dtype=torch.float64)
    poses = POSES if mirror else POSES[:4]
    assert len(dataset) == 2 * len(poses)
    batches = DataLoader(dataset, batch_size=1, num_workers=0)
    for index, item in enumerate(item for batch in batches for item in decollate_batch(batch)):
        image, place = divmod(index, len(poses))
        assert (int(item["label"].meta["test_image"]), int(item["label"].meta["test_pose"])) == (image, place)
        assert item["image"].dtype == torch.float64
        for key in ("image", "label", "instances"):
            expected = data[image][key].as_tensor()
            expected = expected.to(item[key].dtype)
            assert torch.equal(item[key].as_tensor(), posed(expected, poses[place]))


def test_all_parts_of_an_item_are_cropped_to_the_same_middle():
    (item, *_) = RotationDataset(items(size=(20, 31)), multiple=8)
    assert item["image"].shape == (3, 16, 24)
    assert item["instances"][0, 0, 0] == 2 * 31 + 3 and item["label"].shape == (1, 16, 24)
    with pytest.raises(InputError, match=r"image of \[20, 31\] pixels is smaller than the stride of the network, 32"):
        crop_to_multiple(torch.zeros(1, 20, 31), 32)


@pytest.mark.parametrize(
    ("extra", "object_truth", "kept"),
    [
        ({}, "auto", True),
        ({}, "instances", True),
        ({}, "components", False),
        ({"label_source": "mask"}, "auto", False),
        ({"label_source": "outlines"}, "auto", True),
    ],
)
def test_instances_are_kept_where_they_are_known_and_asked_for(extra, object_truth, kept):
    assert ("instances" in RotationDataset(items(**extra), object_truth=object_truth)[0]) is kept


def test_instances_that_are_not_there_are_refused_where_they_are_asked_for():
    with pytest.raises(InputError, match=r"a.png: single objects are not labelled"):
        RotationDataset(items(label_source="mask"), object_truth="instances")[0]
    with pytest.raises(InputError, match="object_truth is 'all'; choose auto, instances, components"):
        RotationDataset(items(), object_truth="all")
    with pytest.raises(InputError, match="no image to evaluate"):
        RotationDataset([])
    with pytest.raises(IndexError):
        RotationDataset(items())[8]
    with pytest.raises(InputError, match="precision is 'half'; choose float32, float64"):
        float_type("half")


def test_odd_sides_are_named_in_the_log(caplog):
    with caplog.at_level(logging.WARNING):
        RotationDataset(items(size=(20, 30)))[0]
        assert not caplog.records
        RotationDataset(items())[0]
    assert "sides [20, 31] are odd" in caplog.text


def test_the_region_says_what_is_evaluated():
    assert evaluated_region(None, None, 0) == ""
    assert evaluated_region(500, 16, 512) == "middle 500 pixels, sides cropped to multiples of 16, windows of 512"


def symmetric_network() -> PlainUNet:
    """A plain network whose filters are means over the eight symmetries: it commutes with them."""
    network = PlainUNet(in_channels=3, out_channels=2, width=5).double().eval()
    for name, parameter in network.named_parameters():
        if parameter.dim() == 4:
            turned = [posed(parameter.data, pose) for pose in POSES]
            network.get_parameter(name).data = torch.stack(turned).mean(0)
    return network


@pytest.mark.parametrize(("side", "exact"), [((48, 80), True), ((50, 62), True), ((49, 64), False)])
def test_even_sides_are_exact_and_odd_ones_are_not(side, exact):
    network = symmetric_network()
    image = torch.rand(1, 3, *side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        straight = network(image)
        errors = [(network(posed(image, pose)) - posed(straight, pose)).abs().max() for pose in POSES[1:]]
    assert (float(max(errors)) < 1e-12) is exact
