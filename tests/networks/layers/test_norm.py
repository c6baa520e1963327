"""Batch norm over scale groups."""

import pytest
import torch
from monai.networks.layers import Norm
from monai.networks.layers.utils import get_norm_layer
from monai.networks.nets import UNet

from monai_seunet.networks.layers.norm import ScaleBatchNorm2d


def test_shared_statistics_are_those_of_all_groups_together():
    norm, x = ScaleBatchNorm2d(4, num_scales=3, layout="batch"), 2 + torch.randn(6, 4, 5, 7)
    y = norm(x)
    torch.testing.assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.var(dim=(0, 2, 3), correction=0), torch.ones(4), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shared", [True, False])
def test_only_shared_statistics_commute_with_permuting_the_groups(shared):
    norm = ScaleBatchNorm2d(4, num_scales=3, shared=shared, layout="batch")
    x = torch.randn(3, 2, 4, 5, 5) * torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1, 1)
    for _ in range(3):
        norm(x.flatten(0, 1))
    norm.eval()
    y = norm(x.flatten(0, 1)).unflatten(0, (3, 2))
    turned = norm(x.roll(1, 0).flatten(0, 1)).unflatten(0, (3, 2))
    assert torch.allclose(turned, y.roll(1, 0), atol=1e-6) == shared


def test_layouts_agree():
    x = torch.randn(2, 12, 5, 5)
    in_channels = ScaleBatchNorm2d(12, num_scales=3, layout="channels")(x)
    in_batch = ScaleBatchNorm2d(4, num_scales=3, layout="batch")(x.unflatten(1, (3, 4)).transpose(0, 1).flatten(0, 1))
    torch.testing.assert_close(in_channels, in_batch.unflatten(0, (3, 2)).transpose(0, 1).flatten(1, 2))


@pytest.mark.parametrize("shared", [True, False])
def test_affine_is_the_norm_of_evaluation_mode(shared):
    norm = ScaleBatchNorm2d(4, num_scales=2, shared=shared, layout="batch")
    norm(torch.randn(4, 4, 6, 6) * 3 + 1)
    norm.eval()
    x = torch.randn(2, 4, 3, 3)  # one map a group
    scale, bias = norm.affine()
    torch.testing.assert_close(norm(x), x * scale[:, :, None, None] + bias[:, :, None, None], atol=1e-5, rtol=1e-5)


def test_monai_finds_the_norm_by_name_and_keeps_its_own():
    norm = get_norm_layer(("scale_batch", {"num_scales": 2}), spatial_dims=2, channels=8)
    assert isinstance(norm, ScaleBatchNorm2d)
    assert Norm["batch", 2] is torch.nn.BatchNorm2d and Norm["instance", 2] is torch.nn.InstanceNorm2d
    net = UNet(2, 3, 2, channels=(8, 16), strides=(2,), norm=("scale_batch", {"num_scales": 2}))
    assert any(isinstance(m, ScaleBatchNorm2d) for m in net.modules())
    assert net(torch.randn(1, 3, 16, 16)).shape == (1, 2, 16, 16)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="layout is 'scale'"):
        ScaleBatchNorm2d(4, layout="scale")
    with pytest.raises(ValueError, match="7 does not divide into num_scales 2"):
        ScaleBatchNorm2d(7, num_scales=2)
    with pytest.raises(ValueError, match="2 spatial dimensions"):
        get_norm_layer("scale_batch", spatial_dims=3, channels=8)
