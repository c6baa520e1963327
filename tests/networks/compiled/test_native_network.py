"""Networks by the native kernels: the same function as in torch, whatever the sizes, and torch where they cannot."""

from __future__ import annotations

import copy
import multiprocessing
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import dask
import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from monai_seunet.native.library import library, torch_form
from monai_seunet.networks import RotoScaleUNet, SEUNet, scale_unet
from monai_seunet.networks.compiled.network import NativeNetwork, native_network
from monai_seunet.networks.scale_unet import ScaleUNet

pytestmark = pytest.mark.skipif(library() is None, reason="no native library for this machine")


def lively(net: ScaleUNet) -> ScaleUNet:
    """In evaluation mode, with the statistics of an image in its norms, so that no layer is silent."""
    norms = [norm for norm in net.modules() if isinstance(norm, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(0, 0.5)
            norm.momentum = 1.0
        side = max(64, net.least_side())
        net.train()(torch.randn(2, net.in_channels, side, side))
    return net.eval()


def in_torch(net: ScaleUNet, x: torch.Tensor, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """The heads by the torch form; in float64 it is the reference."""
    with torch.no_grad(), torch_form():
        return copy.deepcopy(net).to(dtype).heads(x.to(dtype))


def served(net: ScaleUNet, x: torch.Tensor) -> NativeNetwork | None:
    return native_network(net, net.octaves, x)


def natively(net: ScaleUNet, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        assert served(net, x) is not None
        return net.heads(x)


def relative_error(y: torch.Tensor, reference: torch.Tensor) -> float:
    return float((y - reference).abs().max() / (reference - reference.mean()).abs().max())


NETWORKS = {
    "default": {"width": 10},
    "separate norms": {"width": 9, "scales_per_octave": 3, "shared_norm": False, "num_levels": 3},
    "octaves": {"width": 12, "num_octaves": 3, "scales_per_octave": 2, "num_levels": 3},
    "doubled image": {"width": 8, "num_octaves": 2, "scales_per_octave": 2, "finest_octave": -1, "num_levels": 3},
    "one level": {"width": 4, "num_levels": 1, "scales_per_octave": 2},
    "three classes": {"width": 5, "out_channels": 3, "in_channels": 1, "num_levels": 2},
    "paper's ranges": {"width": 10, "sigma_ranges": "paper", "num_levels": 3},
}


ROTO_NETWORKS = {
    "p4": {"width": 24, "num_levels": 3, "scales_per_octave": 2, "group": "p4"},
    "p4m": {"width": 48, "num_levels": 3, "num_octaves": 2, "scales_per_octave": 1, "group": "p4m"},
    "p4m, mean": {"width": 16, "num_levels": 2, "scales_per_octave": 2, "group_pooling": "mean"},
    "p4, one level": {"width": 8, "num_levels": 1, "scales_per_octave": 2, "group": "p4", "out_channels": 3},
}


def made(name: str) -> ScaleUNet:
    return lively(SEUNet(**NETWORKS[name]) if name in NETWORKS else RotoScaleUNet(**ROTO_NETWORKS[name]))


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
    groups, levels = draw.randint(1, 8), draw.choice((1, 1, 2, 3))
    width = groups * draw.choice((1, 2, 3, 4, 5, 6, 7, 11, 13, 130 // groups if levels == 1 else 12))
    reaches = [draw.uniform(0.4, 10) for _ in range(groups)]
    bounds = [sorted((s, s + 0.01) for s in reaches)] * levels
    net = lively(SEUNet(draw.randint(1, 4), draw.randint(2, 5), width, levels, 1, groups, sigma_ranges=bounds))
    size = 300 if width < 40 else 90
    x = torch.randn(
        draw.randint(1, 4 if width < 40 else 2), net.in_channels, draw.randint(1, size), draw.randint(1, size)
    )
    assert relative_error(natively(net, x), in_torch(net, x)) < 1e-5


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


@pytest.mark.parametrize("options", [{"width": 20}, {"width": 4, "num_octaves": 4, "scales_per_octave": 1}])
def test_any_number_of_threads_gives_the_same_bits(options):
    net = lively(SEUNet(**options)).folded()
    x = torch.randn(1, 3, 256, 256)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 4, 7, 12):
            torch.set_num_threads(threads)
            results += [natively(net, x), natively(net, x)]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)


def test_networks_run_beside_each_other():
    nets = [lively(SEUNet(width=5)), lively(SEUNet(width=10)).folded()]
    images = [torch.randn(1, 3, 64 + 16 * n, 64) for n in range(4)]
    alone = [[natively(net, x) for x in images] for net in nets]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(4):
            together = [[pool.submit(natively, net, x) for x in images] for net in nets]
            for expected, futures in zip(alone, together, strict=True):
                assert all(torch.equal(e, f.result()) for e, f in zip(expected, futures, strict=True))


def _in_a_process(net, x, results):
    torch.set_num_threads(2)
    results.put(natively(net, x).numpy())


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_runs_in_other_processes(method):
    net, x = lively(SEUNet(width=10)), torch.randn(1, 3, 64, 64)
    expected = natively(net, x)  # the parent has run it before
    context = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=_in_a_process, args=(net, x, results))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.arange(4_000_000, dtype=torch.float64).sqrt()  # which leaves a thread behind that no child process has
    process.start()
    torch.set_num_threads(threads)
    result = torch.from_numpy(results.get(timeout=120))
    process.join(120)
    assert process.exitcode == 0 and torch.equal(result, expected)


@pytest.mark.parametrize("scheduler", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_runs_in_workers_of_dask(scheduler):
    net, images = lively(SEUNet(width=10)), torch.randn(4, 1, 3, 64, 64)
    expected = [natively(net, x) for x in images]
    found = dask.compute(*(dask.delayed(natively)(net, x) for x in images), scheduler=scheduler, num_workers=2)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


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

    def in_place() -> None:
        layer.alpha += 0.1

    def other_values() -> None:
        layer.alpha.data = layer.alpha.data * 1.1

    def in_place_of_data() -> None:
        layer.alpha.data.mul_(0.8)

    def through_numpy() -> None:
        layer.alpha.detach().numpy()[0, 0, 0] += 0.3

    def other_parameter() -> None:
        layer.alpha = nn.Parameter(layer.alpha * 0.9)

    def loaded() -> None:
        net.load_state_dict(lively(SEUNet(width=5, num_levels=2)).state_dict())

    def other_sigma() -> None:
        layer.sigma.raw += 1

    for change in (in_place, other_values, in_place_of_data, through_numpy, other_parameter, loaded, other_sigma):
        with torch.no_grad():
            change()
        outputs.append(natively(net, x))
        assert relative_error(outputs[-1], in_torch(net, x)) < 1e-5, change.__name__
        assert not torch.equal(outputs[-1], outputs[-2]), change.__name__


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


def test_the_defaults_of_torch_do_not_matter():
    net, x = lively(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    expected = natively(net, x)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(natively(copy.deepcopy(net), x), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_kernels_refuse_what_the_stride_does_not_divide():
    net = lively(SEUNet(width=5, num_levels=3))
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"refuses an image of shape \[1, 3, 30, 32\]"):
        NativeNetwork(net, net.octaves, library()).logits(torch.randn(1, 3, 30, 32))


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


def test_the_kernels_refuse_a_part_that_is_not_of_the_image():
    net, x = lively(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    kernels = NativeNetwork(net, net.octaves, library())
    for part in ((-1, 0, 4, 4), (0, 0, 33, 4), (30, 0, 4, 4), (0, 30, 4, 9), (0, 0, 0, 4)):
        with pytest.raises(RuntimeError, match=r"refuses an image of shape \[1, 3, 32, 32\] and part"):
            kernels.foreground(x, part, 2)


def test_an_image_with_metadata_runs_natively_and_keeps_them():
    net, x = lively(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    image = MetaTensor(x, meta={"mpp": (0.25, 0.25)})
    with torch.no_grad():
        found, expected = net(image), net(x)
        with torch_form():
            by_torch = net(image)
    assert isinstance(found, MetaTensor) and found.meta["mpp"] == by_torch.meta["mpp"] == (0.25, 0.25)
    assert torch.equal(found.as_tensor(), expected) and not torch.equal(by_torch.as_tensor(), expected)


def test_images_of_other_channels_and_parts_beside_the_image_are_refused():
    net, x = lively(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    kernels = NativeNetwork(net, net.octaves, library())
    for channels in (1, 4):
        other = torch.randn(1, channels, 32, 32)
        with torch.no_grad(), pytest.raises(ValueError, match=r"takes images \(B, 3, H, W\)"):
            net.foreground(other)
        with pytest.raises(RuntimeError, match="refuses an image"):
            kernels.logits(other)
    for form in (nullcontext, torch_form):
        for part in ((-1, 0, 4, 4), (0, 0, 33, 4), (30, 0, 4, 4), (0, 0, 0, 4)):
            with form(), torch.no_grad(), pytest.raises(ValueError, match="the images have 32 x 32 pixels"):
                net.foreground(x, part)


def test_a_network_of_heads_of_its_own_is_asked_for_them():
    class Halved(SEUNet):
        def heads(self, x):
            return super().heads(x) / 2

    net, x = lively(Halved(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net.foreground(x), net.heads(x).softmax(2)[:, :, 1:])


def test_the_default_device_does_not_matter():
    net, x = made("p4"), torch.randn(1, 3, 32, 32)
    expected = natively(copy.deepcopy(net), x)
    with torch.device("meta"):
        assert torch.equal(natively(net, x), expected)


def test_torch_runs_what_is_no_memory_of_the_processor_alone():
    net = lively(SEUNet(width=5, num_levels=2))
    turned = torch.randn(1, 3, 32, 32, dtype=torch.complex64).conj().imag  # lies there with the other sign
    assert turned.is_neg()
    with torch.no_grad():
        torch.testing.assert_close(net(turned), net(turned.clone()), rtol=1e-4, atol=1e-4)
