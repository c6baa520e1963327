"""Networks by the native kernels: the same function as in torch, whatever the sizes, and torch where they cannot."""

import copy
import random
from pathlib import Path

import pytest
import torch
from monai.data import MetaTensor
from native_networks import (
    NETWORKS,
    ROTO_NETWORKS,
    any_network,
    in_torch,
    lively,
    made,
    natively,
    relative_error,
    served,
)
from torch import nn

from monai_seunet.native.library import library, torch_form
from monai_seunet.networks import SEUNet
from monai_seunet.networks.compiled.network import NativeNetwork, native_network

pytestmark = pytest.mark.skipif(library() is None, reason="no native library for this machine")


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("name", [*NETWORKS, *ROTO_NETWORKS])
def test_is_the_torch_form(name, folded):
    net = made(name)
    least = net.least_side()
    odd = (2, 33, 70) if name in NETWORKS else (2, 34, 70)  # quarter turns want even sides
    for batch, height, width in ((1, 64, 64), odd, (3, max(48, least), max(16, least))):
        x = torch.randn(batch, net.in_channels, height, width)
        y = natively(net.folded() if folded else net, x)
        assert relative_error(y, in_torch(net, x)) < 1e-5
    with torch.no_grad():
        next(iter(net.scale_layers().values())).alpha[0, 0, 0] += 0.01
    assert relative_error(y, in_torch(net, x)) > 1e-4, "the comparison would not see another network"


@pytest.mark.parametrize("seed", range(36))
def test_any_size_of_image_channels_and_kernels(seed, take_variant):
    take_variant(seed)
    draw = random.Random(seed)
    net, width = any_network(draw)
    most, size = (4, 300) if width < 40 else (2, 90)
    x = torch.randn(draw.randint(1, most), net.in_channels, draw.randint(1, size), draw.randint(1, size))
    assert relative_error(natively(lively(net), x), in_torch(net, x)) < 1e-5


def test_any_layout_of_the_image():
    net = lively(SEUNet(**NETWORKS["octaves"]))
    x = torch.randn(2, 3, 64, 80)
    expected = natively(net, x)
    apart = torch.randn(2, 6, 64, 160)[:, ::2, :, 1::2].copy_(x)
    kernels = NativeNetwork(net, net.octaves, library())
    for other in (x.contiguous(memory_format=torch.channels_last), apart, x.clone().transpose(2, 3).contiguous().mT):
        torch.testing.assert_close(natively(net, other), expected, rtol=0, atol=0)
        heads = kernels.logits(other).unflatten(0, (net.num_scales, -1)).transpose(0, 1)  # in the layout that it has
        torch.testing.assert_close(heads, expected, rtol=0, atol=0)


def test_a_subset_is_the_slice():
    net = lively(SEUNet(**NETWORKS["octaves"]))
    x = torch.randn(1, 3, 64, 64)
    everything = natively(net, x)
    for groups in ([0], [1, 4], [5, 0, 2], [2, 3], [4, 5]):
        found = natively(net.subset(groups), x)
        torch.testing.assert_close(found, everything[:, groups], rtol=0, atol=0)


def test_numbers_that_are_none_spread_as_in_torch():
    net = lively(SEUNet(**NETWORKS["one level"]))
    x = torch.randn(1, 3, 40, 50)
    x[0, 1, 20, 30], x[0, 0, 3, 3], x[0, 2, 39, 0] = torch.nan, torch.inf, -torch.inf
    native, reference = natively(net, x), in_torch(net, x, torch.float32)
    assert torch.equal(native.isfinite(), reference.isfinite()) and not native.isfinite().all()
    fine = reference.isfinite()
    assert relative_error(native[fine], reference[fine]) < 1e-5


def test_another_variant_is_taken_where_it_is_asked_for(take_variant):
    net, x = lively(SEUNet(width=10)), torch.randn(1, 3, 64, 64)
    found = {}
    for n in range(3):
        name = take_variant(n)
        found[name] = natively(net, x)
        with torch.no_grad():
            assert Path(native_network(net, net.octaves, x)._library._name).stem.endswith(name)
    first, *others = found.values()
    assert all(relative_error(other, first) < 1e-5 for other in others)


def test_a_change_of_the_weights_is_seen():
    net = lively(SEUNet(width=5, num_levels=2))
    x = torch.randn(1, 3, 32, 32)
    layer = next(iter(net.scale_layers().values()))
    outputs = [natively(net, x)]
    changes = {
        "in place": lambda: layer.alpha.add_(0.1),
        "other values": lambda: setattr(layer.alpha, "data", layer.alpha.data * 1.1),
        "in place of data": lambda: layer.alpha.data.mul_(0.8),
        "through numpy": lambda: layer.alpha.detach()[0, 0].numpy().fill(0.3),
        "another parameter": lambda: setattr(layer, "alpha", nn.Parameter(layer.alpha * 0.9)),
        "loaded": lambda: net.load_state_dict(lively(SEUNet(width=5, num_levels=2)).state_dict()),
        "another sigma": lambda: layer.sigma.raw.add_(1),
    }
    for name, change in changes.items():
        with torch.no_grad():
            change()
        outputs.append(natively(net, x))
        assert relative_error(outputs[-1], in_torch(net, x)) < 1e-5, name
        assert not torch.equal(outputs[-1], outputs[-2]), name


def test_torch_runs_what_the_kernels_do_not():
    small = {"width": 5, "num_levels": 2}
    net, x = lively(SEUNet(**small)), torch.randn(1, 3, 32, 32)
    assert served(net, x) is None, "a gradient may be asked for"
    with torch.no_grad():
        assert served(net, x) is not None
        assert served(net, x.double()) is None
        assert served(net, x.to("meta")) is None
        assert served(lively(SEUNet(order=2, **small)), x) is None
        assert served(lively(SEUNet(pooling="max", **small)), x) is None
        assert served(lively(SEUNet(**small)).double(), x) is None
        assert served(lively(SEUNet(**small)).train(), x) is None
        with torch.autocast("cpu"):
            assert served(net, x) is None
        partly = lively(SEUNet(**small))
        partly.encoder[0][0].norm.train()
        assert served(partly, x) is None
        heard = []
        with net.encoder[1].register_forward_hook(lambda *_: heard.append(1)):
            net.heads(x)
        assert heard, "a hook on a layer is called"
        net.heads(x)
        assert len(heard) == 1 and served(net, x) is not None
        for pool in (nn.AvgPool2d(2, stride=1), nn.AvgPool2d(2, padding=1), nn.MaxPool2d(2)):
            other = lively(SEUNet(**small))
            assert served(other, x) is not None
            other.pool = pool.eval()
            assert served(other, x) is None


def test_weights_made_in_inference_mode_run_and_their_changes_are_seen():
    net, x = lively(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        copied = copy.deepcopy(net)
        assert torch.equal(natively(copied, x), natively(net, x))
        copied.encoder[0][0].conv.alpha.add_(0.1)
        assert relative_error(natively(copied, x), in_torch(copied, x)) < 1e-5


@pytest.mark.parametrize("name", ["default", "p4"])
def test_the_defaults_of_torch_do_not_matter(name):
    net, x = made(name), torch.randn(1, 3, 64, 64)
    expected = natively(copy.deepcopy(net), x)
    with torch.device("meta"):
        assert torch.equal(natively(copy.deepcopy(net), x), expected)
    torch.set_default_dtype(torch.float64)
    assert torch.equal(natively(net, x), expected)


def test_the_kernels_refuse_what_the_stride_does_not_divide():
    net = lively(SEUNet(width=5, num_levels=3))
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"refuses an image of shape \[1, 3, 30, 32\]"):
        NativeNetwork(net, net.octaves, library()).logits(torch.randn(1, 3, 30, 32))


def test_an_image_with_metadata_runs_natively_and_keeps_them():
    net, x = lively(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    image = MetaTensor(x, meta={"mpp": (0.25, 0.25)})
    with torch.no_grad():
        found, expected = net(image), net(x)
        with torch_form():
            by_torch = net(image)
    assert isinstance(found, MetaTensor) and found.meta["mpp"] == by_torch.meta["mpp"] == (0.25, 0.25)
    assert torch.equal(found.as_tensor(), expected) and not torch.equal(by_torch.as_tensor(), expected)


def test_torch_runs_what_is_no_memory_of_the_processor_alone():
    net = lively(SEUNet(width=5, num_levels=2))
    turned = torch.randn(1, 3, 32, 32, dtype=torch.complex64).conj().imag  # lies there with the other sign
    assert turned.is_neg()
    with torch.no_grad():
        torch.testing.assert_close(net(turned), net(turned.clone()), rtol=1e-4, atol=1e-4)
