"""Symmetry errors of a trained network on real images under turns, mirrors and shifts; zoom is a metric."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from monai_seunet.fusion import fuse
from monai_seunet.metrics.equivariance import centre
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
    """Return the symmetry group that a network keeps by construction: the group of its orientations, else `p1`."""
    orders = {layer.order for layer in network.modules() if isinstance(layer, OrientationPool)}
    return next(name for name, order in POINT_GROUPS.items() if order == max(orders, default=1))


def predictor(network: Network, fusion: str) -> Predict:
    """Return a function that predicts fused probabilities (N, H, W) of an image (C, H, W)."""

    def predict(image: torch.Tensor) -> torch.Tensor:
        groups = group_predictor(network)(image)
        return fuse(groups[None], fusion)[0] if network.has_scale_groups else groups[0]

    return predict


def group_predictor(network: Network) -> Predict:
    """Return a function that predicts probabilities (S, N, H, W) of all scale groups for an image (C, H, W)."""

    def predict(image: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = network.heads(image[None])
        return (logits if logits.dim() == 5 else logits[:, None]).softmax(2)[0]

    return predict


def tried_sides(crop: int, stride: int) -> dict[str, int]:
    """Return the tested sides in pixels: a multiple of the stride, a side with symmetric padding, and an odd side."""
    multiple = crop // stride * stride
    return {"multiple": multiple, **({"padded": multiple - 2} if stride > 2 else {}), "odd": multiple - 1}


def rotation_errors(
    network: Network, images: Iterable[torch.Tensor], side: int, dtype: torch.dtype
) -> list[float] | None:
    """Return the largest relative error of the logits under every quarter turn and mirror; see `symmetry_errors`.

    Args:
        network: network in evaluation mode; it is not changed.
        images: images (C, H, W).
        side: side of the central square, in pixels.
        dtype: data type of weights and images.

    Returns:
        The largest error over the images for each of `ELEMENTS`, or None if the network refuses the side.
    """
    exact = copy.deepcopy(network).to(dtype)
    heads = exact.folded().heads
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # odd sides are tested on purpose
        for image in images:
            try:
                by_element = symmetry_errors(heads, centre(image, side)[None].to(dtype), "p4m")
            except InputError:
                return None
            errors.append([by_element[g] for g in range(1, point_group("p4m").order)])
    return torch.tensor(errors).amax(0).tolist()


def foreground_share(predict: Predict, images: Iterable[torch.Tensor], side: int) -> float:
    """Return the share of foreground pixels in the centres of the images, which is 0 or 1 for constant predictions."""
    shares = [(predict(centre(image, side)).argmax(0) > 0).double().mean() for image in images]
    return float(torch.stack(shares).mean())


@dataclass(frozen=True)
class ShiftErrors:
    """Differences between the predictions of two overlapping windows, by the margin that is left out.

    Attributes:
        shift: shift between the windows in pixels, along both axes.
        margins: widths in pixels of the margin next to the borders of both windows.
        differences: largest difference of a probability inside each margin's inner area.
        changed: mean share of the pixels in the inner area whose class differs, over scale groups and images.
    """

    shift: int
    margins: list[int]
    differences: list[float]
    changed: list[float]


def tried_shifts(window: int, stride: int) -> list[int]:
    """Return the tested shifts in pixels: 1, the stride, and twice the stride if half of the window remains."""
    return [1, stride, *([2 * stride] if window >= 4 * stride else [])]


def shift_errors(predict: Predict, images: Iterable[torch.Tensor], window: int, shift: int) -> ShiftErrors:
    """Compare the predictions of two windows of (C, H, W) in their overlap; one is shifted along both axes.

    Invariant: differences are 0 for a multiple of the stride if the margin exceeds the receptive field. Nearer to a
    border the windows see different pixels, and other shifts change the cells of the pooling. Scale groups are compared
    before fusion, because a fusion may have a larger receptive field.

    Args:
        predict: function that maps (C, H, W) to probabilities (S, N, H, W).
        images: images of at least window + shift pixels along both axes.
        window: side of the windows in pixels.
        shift: shift in pixels.
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
    """Set the norm statistics of a network with random weights from images (C, H, W), in place."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch then takes the mean over all images
    network.train()
    with torch.no_grad():
        for image in progress_bar(images, desc="norms of the control", unit="image"):
            network(image[None])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()
