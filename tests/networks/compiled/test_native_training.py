"""Training steps by the native kernels: outputs, gradients and running statistics of the torch form."""

import copy
import random
from contextlib import nullcontext

import pytest
import torch
from monai.data import MetaTensor
from native_networks import NETWORKS, any_network
from native_steps import assert_native_step, errors, loss_of, step, varied
from torch import nn
from torch.nn import functional as F

from monai_seunet.native.library import library, torch_form
from monai_seunet.networks import RotoScaleUNet, SEUNet
from monai_seunet.networks.compiled.training import native_training
from monai_seunet.networks.layers.gaussian.sigma import ScaleParameter
from monai_seunet.networks.layers.octaves import octave_images

pytestmark = pytest.mark.skipif(library() is None, reason="no native library for this machine")


TRAINED = NETWORKS | {
    "fixed scales": {"width": 10, "sigma_mode": "fixed", "num_levels": 2},
    "many channels": {"width": 130, "num_levels": 2},
}


@pytest.mark.parametrize(("name", "batch", "more"), [*((name, 2, 0) for name in TRAINED), ("octaves", 1, 1)])
def test_a_step_is_that_of_the_torch_form(name, batch, more):
    net = varied(SEUNet(**TRAINED[name]))
    height, width = (max(side, net.least_side()) + more for side in (24, 38))
    assert_native_step(net, torch.randn(batch, net.in_channels, height, width))


@pytest.mark.parametrize("seed", range(18))
def test_any_size_of_image_channels_and_kernels(seed, take_variant):
    take_variant(seed)
    draw = random.Random(seed)
    net, width = any_network(draw)
    size = 200 if width < 40 else 60
    x = torch.randn(draw.randint(1, 3), net.in_channels, draw.randint(2, size), draw.randint(2, size))
    assert_native_step(varied(net), x)


def test_another_weight_is_seen():
    net, x = varied(SEUNet(width=10, num_levels=2)), torch.randn(1, 3, 32, 32)
    reference = assert_native_step(net, x)
    with torch.no_grad():
        net.encoder[1][0].conv.sigma.raw[0] += 0.01
    found = errors(step(net, x, natively=True), reference)
    assert found["classes"] > 1e-4 and found["encoder.0.0.conv.alpha"] > 1e-4


def test_any_number_of_threads_gives_the_same_bits():
    net, x, results = varied(SEUNet(width=10, num_levels=3)), torch.randn(2, 3, 144, 80), []
    for threads in (1, 2, 3, 7, 1):
        torch.set_num_threads(threads)
        results.append(step(copy.deepcopy(net), x, natively=True))
    for result in results[1:]:
        assert all(torch.equal(result[name], results[0][name]) for name in results[0])


def test_steps_in_between_and_graphs_that_are_kept():
    net, x, other = varied(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32), torch.randn(1, 3, 32, 32)

    def gradient() -> torch.Tensor:
        found = net.encoder[0][0].conv.alpha.grad.clone()
        net.zero_grad()
        return found

    (first, second) = (loss_of(net(image)) for image in (x, other))
    second.backward()
    gradient()
    first.backward(retain_graph=True)
    once = gradient()
    loss_of(net(other)).backward()  # takes memory anew, while the graph of the first is kept
    gradient()
    first.backward()
    assert torch.equal(gradient(), once)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        first.backward()


def test_each_gradient_is_a_tensor_of_its_own():
    net, x = varied(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    logits, alpha = net(x), net.encoder[0][0].conv.alpha
    found = [torch.autograd.grad(logits[:, :, c].sum(), alpha, retain_graph=True)[0] for c in range(2)]
    again = [torch.autograd.grad(logits[:, :, c].sum(), alpha, retain_graph=True)[0].clone() for c in range(2)]
    assert not torch.equal(found[0], found[1])
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))


def test_the_number_of_threads_may_change_between_forward_and_backward():
    net, x, gradients = varied(SEUNet(width=10, num_levels=3)), torch.randn(1, 3, 64, 64), []
    for forward, backward in ((1, 1), (1, 8), (8, 1)):
        torch.set_num_threads(forward)
        loss = loss_of(net(x))
        torch.set_num_threads(backward)
        net.zero_grad()
        loss.backward()
        gradients.append(net.encoder[0][0].conv.alpha.grad.clone())
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2])


def test_weights_that_change_before_the_gradients_are_taken_are_refused_as_in_torch():
    net, x = varied(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    loss = loss_of(net(x))
    with torch.no_grad():
        net.encoder[0][0].norm.norms[0].weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_an_image_with_metadata_is_trained_on_natively():
    net, x = varied(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    found = step(copy.deepcopy(net), MetaTensor(x), natively=True)
    expected = step(net, x, natively=True)
    assert all(torch.equal(found[name], values) for name, values in expected.items())


def test_frozen_weights_stay_and_the_others_learn():
    net, x = varied(SEUNet(width=5, num_levels=2)), torch.randn(1, 3, 32, 32)
    net.encoder[0].requires_grad_(False)
    found = step(net, x, natively=True)
    assert not any(name.startswith("encoder.0") and "running" not in name and "tracked" not in name for name in found)
    assert found["encoder.1.0.conv.alpha"].abs().max() > 0


def test_a_training_follows_that_in_torch():
    nets = [varied(SEUNet(width=10, num_levels=3))]
    nets.append(copy.deepcopy(nets[0]))
    images = torch.rand(4, 2, 3, 48, 48)
    curves: list[list[float]] = [[], []]
    for net, natively, curve in zip(nets, (True, False), curves, strict=True):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
        with nullcontext() if natively else torch_form():
            for n in range(24):
                optimizer.zero_grad()
                brightness = F.avg_pool2d(images[n % 4].mean(1, keepdim=True), 5, stride=1, padding=2)
                target = (brightness > 0.5).long().expand(-1, 5, -1, -1).transpose(0, 1).flatten(0, 1)
                loss = F.cross_entropy(net.all_heads(images[n % 4]).transpose(0, 1).flatten(0, 1), target)
                loss.backward()
                optimizer.step()
                curve.append(float(loss.detach()))
    torch.testing.assert_close(torch.tensor(curves[0]), torch.tensor(curves[1]), rtol=1e-3, atol=0)
    assert curves[0] != curves[1], "both are by torch"
    assert sum(curves[0][-4:]) < 0.98 * sum(curves[0][:4]), "nothing is learned that could differ"


def test_torch_trains_what_the_kernels_do_not():
    small = {"width": 5, "num_levels": 2}
    x = torch.randn(1, 3, 32, 32)

    def trains(net, image=x) -> bool:
        return native_training(net, octave_images(image, net.octaves)) is not None

    assert trains(SEUNet(**small))
    assert not trains(SEUNet(**small).eval())
    assert not trains(SEUNet(**small).double(), x.double())
    assert not trains(SEUNet(order=2, **small))
    assert not trains(SEUNet(pooling="max", **small))
    assert not trains(RotoScaleUNet(width=20, num_levels=2, scales_per_octave=5, group="p4"))
    assert not trains(SEUNet(**small), x.clone().requires_grad_())
    with torch.no_grad():
        assert not trains(SEUNet(**small))
    with torch.autocast("cpu"):
        assert not trains(SEUNet(**small))
    frozen = SEUNet(**small)
    frozen.encoder[0][0].norm.eval()
    assert not trains(frozen)
    heard = SEUNet(**small)
    heard.encoder[0].register_forward_hook(lambda *_: None)
    assert not trains(heard)
    wide = SEUNet(sigma_mode="free", **small)
    assert trains(wide)
    with torch.no_grad():
        wide.encoder[0][0].conv.sigma.raw.fill_(5)
    assert not trains(wide), "kernels are wider than the native ones"
    for pool in (nn.AvgPool2d(2, stride=1), nn.AvgPool2d(2, padding=1)):
        other = SEUNet(**small)
        assert trains(other)
        other.pool = pool
        assert not trains(other)

    class Wider(ScaleParameter):
        def forward(self):
            return 1.3 * super().forward()

    changed = SEUNet(**small)
    changed.encoder[0][0].conv.sigma.__class__ = Wider
    assert not trains(changed)
    bare = SEUNet(**small)
    bare.head = nn.Conv2d(1, 2, 1, bias=False)
    assert not trains(bare)
    global_hook = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert not trains(SEUNet(**small))
    finally:
        global_hook.remove()


def test_a_network_that_nobody_holds_is_freed():
    import gc
    import weakref

    net = SEUNet(width=5, num_levels=2)
    step(net, torch.randn(1, 3, 32, 32), natively=True)
    kept = weakref.ref(net)
    del net
    gc.collect()
    assert kept() is None
