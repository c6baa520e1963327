"""From one prediction per scale group to one prediction: the strategies of the SEUNet paper, and scale projection."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from monai_seunet.native.kernels import STRATEGIES as STRATEGIES  # in the order of the kernels
from monai_seunet.native.kernels import native_confidence, native_fuse

NEARBY = 128  # pixels on every side by which `p_conf` judges a group


def margin(probabilities: torch.Tensor) -> torch.Tensor:
    """Confidence of each scale group: the largest class probability minus the second largest.

    Args:
        probabilities: (B, S, N, ...), S scale groups and N >= 2 classes that sum to one.

    Returns:
        (B, S, ...), in [0, 1]; 0 where the two best classes tie.
    """
    best = probabilities.topk(2, dim=2).values
    return best[:, :, 0] - best[:, :, 1]


def reach(strategy: str) -> int:
    """Pixels around a pixel, on every side, by which a strategy judges the groups there; 0 for the pixel alone."""
    return NEARBY if strategy == "p_conf" else 0


def confidence_nearby(
    probabilities: torch.Tensor, nearby: int = NEARBY, prior: float = 0.65, share: float = 0.0005
) -> torch.Tensor:
    """How sure each scale group is of the foreground that it finds nearby.

    It is the mean foreground probability of the pixels there, weighted by its square, so that a faint background does
    not count. Groups that see objects of a size that they do not know blur them, and are less sure of them.

    Invariant: moves, turns and mirrors with the image, up to rounding. Has no gradient.

    Args:
        probabilities: (B, S, N, ...), class 0 is the background, the others are not read.
        nearby: pixels on every side. (These three are arguments because TorchScript knows no constants of a module.)
        prior: confidence of a group that finds nothing there.
        share: the prior counts as much as certain foreground on this share of the pixels there.

    Returns:
        (B, S, ...), in [0, 1].
    """
    known = probabilities.detach()[:, :, 0]
    native = native_confidence(known, nearby, prior, share)
    if native is not None:
        return native
    background = known.to(torch.promote_types(known.dtype, torch.float32))  # sums of many pixels
    groups: list[torch.Tensor] = []
    for group in background.unbind(1):  # one by one, since there are several maps of each in between
        foreground = (1 - group).nan_to_num(0.0)  # a pixel that is no number makes the others none
        weights = foreground.square()
        sums, total = foreground * weights, weights
        for axis in range(1, foreground.dim()):
            sums, total = _sums_nearby(sums, axis, nearby), _sums_nearby(total, axis, nearby)
        unknown = share * (2 * nearby + 1) ** (foreground.dim() - 1)
        groups.append((sums + prior * unknown) / (total + unknown))
    return torch.stack(groups, dim=1)


def confidence_weights(confidence: torch.Tensor, sharpness: float = 30.0) -> torch.Tensor:
    """What the probabilities of each group are multiplied by, from its confidence.

    A group that is less confident than the surest one by 0.01 gets exp(-0.3).

    Returns:
        (B, S, ...) in [0, 1], 1 for the surest group.
    """
    return (sharpness * (confidence - confidence.amax(dim=1, keepdim=True))).exp()


def group_weights(probabilities: torch.Tensor, strategy: str) -> torch.Tensor | None:
    """What `fuse` multiplies the probabilities of each group by, (B, S, ...); None where the strategy does not.

    Compute it once for an image that is fused in parts, or looked at twice.
    """
    if strategy != "p_conf":
        return None
    return confidence_weights(confidence_nearby(probabilities))


def _sums_nearby(values: torch.Tensor, axis: int, nearby: int) -> torch.Tensor:
    """Sums over `nearby` pixels on both sides along an axis; there are zeros beyond its ends."""
    padding = [0, 0] * (values.dim() - 1 - axis) + [nearby + 1, nearby]
    sums = F.pad(values, padding).cumsum(axis)
    side = 2 * nearby + 1
    length = sums.shape[axis] - side
    return sums.narrow(axis, side, length) - sums.narrow(axis, 0, length)


def fuse(probabilities: torch.Tensor, strategy: str = "p_ens", weights: torch.Tensor | None = None) -> torch.Tensor:
    """Combine the predictions of all scale groups into one.

    Invariant: the result sums to one over the classes; with S = 1 it is the input. The order of the groups does not
    matter (without ties). `arithmetic`, `p_dist` and `p_ens` are convex combinations of the groups and treat all
    classes alike; `p_max`, `p_power` and `p_conf` are for a class 0 that is background. A pixel depends on no other
    one, but by `p_conf` on those within `NEARBY`.

    Args:
        probabilities: (B, S, N, ...), S scale groups and N >= 2 classes.
        strategy: `arithmetic` (mean over the groups), `p_dist` (the group with the largest margin), `p_ens` (groups
            weighted by the softmax of their margins), `p_max` (the largest probability of every foreground class,
            the smallest of the background: what one group finds, no group that is blind at this scale can undo),
            `p_power` (the fourth root of the mean fourth power of every foreground class, between the mean and the
            maximum: what one group finds alone counts for less than what several find, and for more than in the mean)
            or `p_conf` (the same of the groups multiplied by their `group_weights`: their confidence within 128
            pixels decides how much they count).
        weights: `group_weights` of the whole image, where `probabilities` are a part of it or they are known.

    Returns:
        (B, N, ...)

    Raises:
        ValueError: for an unknown strategy, or for fewer than two classes.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.4 and algorithm 1.
        Sosnovik et al., Scale-Equivariant Steerable Networks, 2020 (`p_max`: projection over the scales).
    """
    if strategy not in ("arithmetic", "p_dist", "p_ens", "p_max", "p_power", "p_conf"):
        raise ValueError(f"fusion strategy is '{strategy}'; choose arithmetic, p_dist, p_ens, p_max, p_power or p_conf")
    if probabilities.dim() < 3 or probabilities.shape[2] < 2:
        raise ValueError(
            f"fusion needs (B, S, N, ...) with at least two classes N, got shape {list(probabilities.shape)}; "
            "a binary task has the two classes background and foreground"
        )
    if weights is None:
        weights = group_weights(probabilities, strategy)
    native = native_fuse(probabilities, strategy, weights)
    if native is not None:
        return native
    if strategy == "arithmetic":
        return probabilities.mean(dim=1)
    if strategy == "p_max":
        foreground = probabilities[:, :, 1:].amax(dim=1)
        evidence = torch.cat([probabilities[:, :, :1].amin(dim=1), foreground], dim=1)
        return evidence / evidence.sum(dim=1, keepdim=True)
    if strategy in ("p_power", "p_conf"):
        foreground = _power_mean(probabilities[:, :, 1:], weights)
        background = 1 - _power_mean(1 - probabilities[:, :, :1], weights)
        evidence = torch.cat([background, foreground], dim=1)
        return evidence / evidence.sum(dim=1, keepdim=True)
    confidence = margin(probabilities)
    if strategy == "p_ens":
        return (confidence.softmax(dim=1).unsqueeze(2) * probabilities).sum(dim=1)
    winner = confidence.max(dim=1, keepdim=True).indices.unsqueeze(2)  # (B, 1, 1, ...)
    shape = list(winner.shape)
    shape[2] = probabilities.shape[2]
    return probabilities.gather(1, winner.expand(shape)).squeeze(1)


def fuse_directions(
    directions: torch.Tensor, probabilities: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Combine the directions of all scale groups: each group counts as much as it is heard for the foreground.

    Invariant: a convex combination of the groups, equal weights where none sees foreground; with S = 1 it is the input.

    Args:
        directions: (B, S, 2, ...)
        probabilities: (B, S, N, ...), class 0 is the background.
        weights: the `group_weights` of the fusion; None for none.

    Returns:
        (B, 2, ...)
    """
    heard = 1 - probabilities[:, :, :1]
    if weights is not None:
        heard = weights.unsqueeze(2) * heard
    heard = heard.clamp(min=1e-6)
    return (heard * directions).sum(dim=1) / heard.sum(dim=1)


def fuse_outputs(
    outputs: torch.Tensor, classes: int, strategy: str = "p_ens", weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Fuse what a network gives: logits of the classes, and directions where there are more channels.

    Args:
        outputs: (B, S, N, ...) or (B, S, N + 2, ...).
        classes: N.
        strategy: see `fuse`.
        weights: see `fuse`.

    Returns:
        Probabilities (B, N, ...), or (B, N + 2, ...) with the directions after them.
    """
    probabilities = outputs[:, :, :classes].softmax(dim=2)
    if weights is None:
        weights = group_weights(probabilities, strategy)
    fused = fuse(probabilities, strategy, weights)
    if outputs.shape[2] == classes:
        return fused
    return torch.cat([fused, fuse_directions(outputs[:, :, classes:], probabilities, weights)], dim=1)


def _power_mean(probabilities: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """The mean of exponent 4 over the groups, (B, S, N, ...) -> (B, N, ...); in proportion to the probabilities."""
    tiny = 1e-24  # the root has no slope at 0
    if weights is None:
        powers = probabilities.square().square().mean(dim=1)
    else:
        weights = weights.unsqueeze(2)
        powers = (weights * probabilities).square().square().sum(dim=1) / weights.square().square().sum(dim=1)
    return powers.clamp(min=tiny).sqrt().sqrt()


def winning_scale(
    probabilities: torch.Tensor, strategy: str = "p_ens", weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Index of the scale group that decided each pixel.

    Args:
        probabilities: (B, S, N, ...)
        strategy: of the fusion: for `p_max` and `p_power` the group with the largest foreground probability decides,
            for `p_conf` the one with the largest share of the power mean, else the most confident one.
        weights: see `fuse`.

    Returns:
        (B, 1, ...), int64 in [0, S).
    """
    if weights is None:
        weights = group_weights(probabilities, strategy)
    native = native_fuse(probabilities, strategy, weights, winner=True)
    if native is not None:
        return native
    if strategy in ("p_max", "p_power", "p_conf"):
        score = probabilities[:, :, 1:].amax(dim=2)
    else:
        score = margin(probabilities)
    if weights is not None:
        score = weights * score
    return score.max(dim=1, keepdim=True).indices  # on a CPU much faster than argmax
