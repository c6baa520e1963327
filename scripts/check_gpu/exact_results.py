"""Networks on the device against the same networks by torch on the CPU, and their symmetries on the device."""

from __future__ import annotations

import argparse
import copy
import warnings

from networks import build
from records import Records, run_step

# Overlays of different layers. The others differ by widths, training or options alone.
NETWORKS = (
    "plain_unet seunet_octaves seunet roto_scale_unet sesn_unet disco_unet pyramid_unet equivariant_unet g_unet "
    "g_dense_unet simplified_g_unet baseline_unet njet seunet_free"
).split()
QUICK = ("plain_unet", "seunet_octaves", "g_unet")
# What scale groups and orientations divide; 8 for the other networks.
WIDTHS = dict.fromkeys(("seunet", "seunet_free", "sesn_unet", "disco_unet"), 10)
WIDTHS |= {"roto_scale_unet": 40, "seunet_octaves": 12}
# Largest differences, relative to the largest value. Sums have another order on each device.
BOUNDS = {"float64": 1e-10, "float32": 1e-4}
BROKEN = 1e-3  # what a network without the symmetry has at least


def difference(found, expected) -> float:
    """Return the largest difference from the expected values, relative to the largest of these."""
    return float((found.cpu().double() - expected).abs().max() / expected.abs().max())


def compare(name: str, device: str, records: Records) -> None:
    """Compare predictions, the folded form and gradients of a network."""
    import torch

    from monai_seunet.native.library import torch_form

    net = build(name, WIDTHS.get(name, 8)).double().eval()
    side = 256 if name == "pyramid_unet" else 128
    x = torch.rand(1, net.in_channels, side, side, dtype=torch.float64)
    with torch_form():
        expected = net(x).detach()
        gradients = gradient_of(copy.deepcopy(net), x)
    for dtype in (torch.float64, torch.float32):
        kind = str(dtype).removeprefix("torch.")
        there, image = copy.deepcopy(net).to(device, dtype), x.to(device, dtype)
        with torch.no_grad():
            for form, network in (("", there), (", folded", there.folded())):
                found = difference(network(image), expected)
                records.at_most(f"{name}: prediction in {kind}{form}", found, BOUNDS[kind])
    found = difference(gradient_of(copy.deepcopy(net).to(device), x.to(device)), gradients)
    records.at_most(f"{name}: gradients in float64", found, BOUNDS["float64"])
    torch.backends.cudnn.allow_tf32 = True
    with torch.no_grad():
        found = difference(copy.deepcopy(net).to(device, torch.float32)(x.to(device, torch.float32)), expected)
    torch.backends.cudnn.allow_tf32 = False
    records.figure(f"{name}: difference in float32 where convolutions may use TF32", found, "of the largest logit")


def gradient_of(net, x):
    """Return the gradient of a loss of the prediction by all trained parameters, as one vector."""
    import torch

    net.train()
    net(x).square().mean().backward()
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.requires_grad])


def turn(name: str, device: str, records: Records) -> None:
    """Check that a network on the device turns with its image; networks without the symmetry are the control."""
    import torch

    from monai_seunet.certificate.measure import promised_group
    from monai_seunet.testing import symmetry_errors

    net = build(name, WIDTHS.get(name, 8)).double().eval().to(device)
    group = promised_group(net)
    x = torch.rand(1, net.in_channels, 128, 128, dtype=torch.float64).to(device)
    error = max(symmetry_errors(net, x, group if group != "p1" else "p4").values())
    if group == "p1":
        records.check(f"{name}: no symmetry, as a control", error > BROKEN, f"{error:.2g}, more than {BROKEN:.2g}")
    else:
        records.at_most(f"{name}: symmetries of {group} in float64", error, BOUNDS["float64"])


def exact_results(records: Records, options: argparse.Namespace) -> None:
    """Compare every network on the device to its torch form on the CPU in float64."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    warnings.simplefilter("ignore")
    for name in QUICK if options.quick else NETWORKS:
        for part in (compare, turn):
            try:
                part(name, options.device, records)
            except ImportError:
                raise
            except Exception as error:  # one network must not stop the others
                records.check(f"{name}: runs on the device", False, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    run_step(exact_results)
