"""Probabilities of a part of an image by the native kernels: those of its heads."""

from contextlib import nullcontext

import pytest
import torch
from native_networks import NETWORKS, ROTO_NETWORKS, in_torch, lively, made

from monai_seunet.native.library import library, torch_form
from monai_seunet.networks import SEUNet, scale_unet
from monai_seunet.networks.compiled.network import NativeNetwork

pytestmark = pytest.mark.skipif(library() is None, reason="no native library for this machine")


@pytest.mark.parametrize("name", [*NETWORKS, *ROTO_NETWORKS])
def test_probabilities_of_a_part_are_those_of_the_heads(name, monkeypatch):
    net = made(name)
    side = max(64, net.least_side())
    x = torch.randn(2, net.in_channels, side, side + 64)
    expected = in_torch(net, x).softmax(2)[:, :, 1:]
    for part in (None, (0, 0, side, side + 64), (7, 19, 21, 30), (side - 1, side + 63, 1, 1), (0, 32, side, 5)):
        top, left, height, width = part or (0, 0, *x.shape[2:])
        with torch.no_grad():
            with monkeypatch.context() as patch:
                patch.setattr(scale_unet, "part_foreground", None)  # what torch would need
                found = net.foreground(x, part)
            with torch_form():
                by_torch = net.foreground(x, part)
        wanted = expected[..., top : top + height, left : left + width]
        assert found.shape == wanted.shape == by_torch.shape
        assert float((found - wanted).abs().max()) < 1e-5 and float((by_torch - wanted).abs().max()) < 1e-5


def test_probabilities_are_numbers_for_any_logits():
    net, x = lively(SEUNet(**NETWORKS["one level"])), torch.randn(1, 3, 16, 16)
    for bias in ([0.0, 300.0], [300.0, 0.0], [-1e30, 1e30], [1e30, -1e30], [0.0, 86.0], [89.0, 0.0]):
        with torch.no_grad():
            net.head.weight.zero_()
            net.head.bias.copy_(torch.tensor(bias))
            found = net.foreground(x)
        torch.testing.assert_close(found, torch.tensor(bias).softmax(0)[1].expand_as(found), rtol=1e-6, atol=1e-37)


def test_images_of_other_channels_and_parts_beside_the_image_are_refused():
    net, x = lively(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    kernels = NativeNetwork(net, net.octaves, library())
    for channels in (1, 4):
        other = torch.randn(1, channels, 32, 32)
        with torch.no_grad(), pytest.raises(ValueError, match=r"takes images \(B, 3, H, W\)"):
            net.foreground(other)
        with pytest.raises(RuntimeError, match="refuses an image"):
            kernels.logits(other)
    for part in ((-1, 0, 4, 4), (0, 0, 33, 4), (30, 0, 4, 4), (0, 30, 4, 9), (0, 0, 0, 4)):
        with pytest.raises(RuntimeError, match=r"refuses an image of shape \[1, 3, 32, 32\] and part"):
            kernels.foreground(x, part, 2)
        for form in (nullcontext, torch_form):
            with form(), torch.no_grad(), pytest.raises(ValueError, match="the images have 32 x 32 pixels"):
                net.foreground(x, part)


def test_a_network_of_heads_of_its_own_is_asked_for_them():
    class Halved(SEUNet):
        def heads(self, x):
            return super().heads(x) / 2

    net, x = lively(Halved(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net.foreground(x), net.heads(x).softmax(2)[:, :, 1:])
