"""The head that gives directions: the mean of what each orientation says, turned back."""

import pytest
import torch
from direction_networks import turned
from torch import nn

from monai_seunet.networks.layers.rotation.orientation import VectorHead
from monai_seunet.networks.layers.rotation.point_group import point_group
from monai_seunet.utils.errors import InputError


@torch.no_grad()
@pytest.mark.parametrize("group", ["p1", "p4", "p4m"])
def test_a_vector_head_is_the_mean_of_what_each_orientation_says_turned_back_and_turns_with_its_map(group):
    symmetries = point_group(group)
    head, x = VectorHead(3 * symmetries.order, group).double(), torch.randn(2, 3 * symmetries.order, 5, 7).double()
    assert sum(weights.numel() for weights in head.parameters()) == 2 * 3
    expected = torch.zeros(2, 2, 5, 7, dtype=torch.float64)
    for g, maps in enumerate(x.split(3, dim=1)):
        matrix = torch.tensor(symmetries.matrix(g), dtype=torch.float64)
        said = torch.einsum("oi,bihw->bohw", head.vector.weight[:, :, 0, 0], maps)
        expected += torch.einsum("ij,bjhw->bihw", matrix, said) / symmetries.order
    y, plain = head(x), nn.Conv2d(3 * symmetries.order, 2, 1, bias=False).double()
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-14)
    for g in range(symmetries.order):
        moved, expected = symmetries.act_on_features(g, x), turned(symmetries, g, y)
        torch.testing.assert_close(head(moved), expected, rtol=0, atol=1e-14)
        if g > 0:
            assert (plain(moved) - turned(symmetries, g, plain(x))).abs().max() > 1e-2, "the control"
            assert (head(moved) - symmetries.act(g, y)).abs().max() > 1e-2, "the control"


def test_a_vector_head_has_no_direction_where_all_orientations_say_the_same():
    x = torch.randn(1, 3, 4, 4).repeat(1, 8, 1, 1).double()
    head = VectorHead(24, "p4m").double()
    assert head(x).abs().max() < 1e-15 and head(x[:, torch.randperm(24)]).abs().max() > 1e-2


def test_wrong_vector_heads_are_refused():
    with pytest.raises(InputError, match="12 channels do not divide into the 8 orientations of p4m"):
        VectorHead(12, "p4m")
    with pytest.raises(InputError, match="group is 'p6'"):
        VectorHead(12, "p6")
