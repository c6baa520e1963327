"""What a trained network keeps of its symmetries on real images: turns, mirrors and shifts (zoom is a metric)."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from monai_seunet.fusion import fuse
from monai_seunet.networks.layers.rotation.orientation import OrientationPool
from monai_seunet.networks.layers.rotation.point_group import POINT_GROUPS, point_group
from monai_seunet.networks.unet.base import Network
from monai_seunet.testing import symmetry_errors
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import progress_bar

ELEMENTS = ("90°", "180°", "270°", "mirror", "mirror + 90°", "mirror + 180°", "mirror + 270°")
DTYPES = {"float32": torch.float32, "float64": torch.float64}

Predict = Callable[[torch.Tensor], torch.Tensor]


def promised_group(network: Network) -> str:
    """The group whose symmetries a network keeps by construction: that of its orientations, `p1` without any."""
    orders = {layer.order for layer in network.modules() if isinstance(layer, OrientationPool)}
    return next(name for name, order in POINT_GROUPS.items() if order == max(orders, default=1))


def predictor(network: Network, fusion: str) -> Predict:
    """Probabilities (N, H, W) of an image (C, H, W): the scale groups of the network, fused."""

    def predict(image: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = network.heads(image[None])
        return fuse(logits.softmax(2), fusion)[0] if logits.dim() == 5 else logits.softmax(1)[0]

    return predict


def group_predictor(network: Network) -> Predict:
    """Probabilities (S, N, H, W) of an image (C, H, W), of every scale group."""

    def predict(image: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = network.heads(image[None])
        return (logits if logits.dim() == 5 else logits[:, None]).softmax(2)[0]

    return predict


def centre(image: torch.Tensor, side: int) -> torch.Tensor:
    """The square in the middle of (C, H, W)."""
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    return image[:, top : top + side, left : left + side]


def tried_sides(crop: int, stride: int) -> dict[str, int]:
    """Sides on which turns are tried: a multiple of the stride, one that is padded alike at both ends, an odd one."""
    good = crop // stride * stride
    return {"multiple": good, **({"padded": good - 2} if stride > 2 else {}), "odd": good - 1}


def rotation_errors(
    network: Network, images: Iterable[torch.Tensor], side: int, dtype: torch.dtype
) -> list[float] | None:
    """Largest relative error of the logits under every quarter turn and mirror, as `symmetry_errors` has it.

    Args:
        network: in evaluation mode; not changed.
        images: (C, H, W) each.
        side: of the square in the middle that is turned.
        dtype: of weights and image.

    Returns:
        For each of `ELEMENTS` the largest over the images; None where the network refuses the side.
    """
    exact = copy.deepcopy(network).to(dtype)
    heads = exact.folded().heads
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an odd side, which is the point here
        for image in images:
            try:
                found = symmetry_errors(heads, centre(image, side)[None].to(dtype), "p4m")
            except InputError:
                return None
            errors.append([found[g] for g in range(1, point_group("p4m").order)])
    return torch.tensor(errors).amax(0).tolist()


def foreground_share(predict: Predict, images: Iterable[torch.Tensor], side: int) -> float:
    """Share of the pixels in the middle of the images that are not class 0: a constant answer keeps every symmetry."""
    shares = [(predict(centre(image, side)).argmax(0) > 0).double().mean() for image in images]
    return float(torch.stack(shares).mean())


@dataclass(frozen=True)
class ShiftErrors:
    """How far the predictions of two overlapping windows differ, by the distance from their borders.

    Attributes:
        shift: of one window against the other, in pixels along both axes.
        margins: pixels next to a border of either window that are left out.
        differences: largest difference of a probability beyond each margin.
        changed: share of the pixels beyond it whose class changes, mean over the groups and images.
    """

    shift: int
    margins: list[int]
    differences: list[float]
    changed: list[float]


def tried_shifts(window: int, stride: int) -> list[int]:
    """Pixels by which windows are shifted: one, the stride, and twice the stride where half of the window is left."""
    return [1, stride, *([2 * stride] if window >= 4 * stride else [])]


def shift_errors(predict: Predict, images: Iterable[torch.Tensor], window: int, shift: int) -> ShiftErrors:
    """Compare the predictions of two windows of (C, H, W), one shifted along both axes, where they overlap.

    Invariant: 0 beyond the receptive field, for a multiple of the stride. Nearer to a border, a window does not see
    what the other sees; for other shifts, the pooling falls on other pixels. The groups are compared before they are
    fused: a fusion may look farther.

    Args:
        predict: (C, H, W) -> probabilities (S, N, H, W).
        images: longer than window + shift along both axes.
        window: side of the windows.
        shift: in pixels.
    """
    overlap = window - shift
    margins = [window * n // 32 for n in (0, 1, 2, 4, 6, 8, 10, 12)]
    margins = [margin for margin in margins if 2 * margin < overlap]
    largest, changed = torch.zeros(len(margins)), []
    for image in images:
        both = centre(image, window + shift)
        first = predict(both[:, :window, :window])[..., shift:, shift:]
        second = predict(both[:, shift:, shift:])[..., :overlap, :overlap]
        difference = (first - second).abs().amax((0, 1))
        differs = (first.argmax(1) != second.argmax(1)).double().mean(0)
        inner = [slice(margin, overlap - margin) for margin in margins]
        largest = torch.maximum(largest, torch.stack([difference[part, part].max() for part in inner]))
        changed.append(torch.stack([differs[part, part].mean() for part in inner]))
    return ShiftErrors(shift, margins, largest.tolist(), torch.stack(changed).mean(0).tolist())


def set_norms(network: Network, images: Iterable[torch.Tensor]) -> nn.Module:
    """Give a network of random weights, in place, the norm statistics of some images (C, H, W)."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all images
    network.train()
    with torch.no_grad():
        for image in progress_bar(images, desc="norms of the control", unit="image"):
            network(image[None])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()
