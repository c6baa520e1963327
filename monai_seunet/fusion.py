"""Fusion of the predictions of all scale groups: the strategies of the SEUNet paper, and scale projection."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from monai_seunet.native.kernels import native_confidence, native_fuse
from monai_seunet.native.strategies import STRATEGIES as STRATEGIES

NEARBY = 128  # pixels on every side in which `p_conf` measures the confidence of a group


def margin(probabilities: torch.Tensor) -> torch.Tensor:
    """Return the confidence of each scale group: the largest class probability minus the second largest.

    Args:
        probabilities: probabilities (B, S, N, ...) of S scale groups and N >= 2 classes.

    Returns:
        The margin (B, S, ...) in [0, 1], which is 0 if the two best classes are equal.

    >>> margin(torch.tensor([0.75, 0.25]).reshape(1, 1, 2))
    tensor([[0.5000]])
    """
    best = probabilities.topk(2, dim=2).values
    return best[:, :, 0] - best[:, :, 1]


def reach(strategy: str) -> int:
    """Return the number of pixels on every side that a strategy reads around a pixel."""
    return NEARBY if strategy == "p_conf" else 0


def confidence_nearby(
    probabilities: torch.Tensor, nearby: int = NEARBY, prior: float = 0.65, share: float = 0.0005
) -> torch.Tensor:
    """Return the confidence of each scale group in the foreground that it finds nearby.

    The confidence is the mean foreground probability of the nearby pixels, weighted by its square, so a faint
    background has no weight. Groups give blurred, less confident predictions for objects of an unknown size.

    Invariant: it commutes with shifts, quarter turns and mirrors of the image, up to rounding. It has no gradient.

    Args:
        probabilities: probabilities (B, S, N, ...) with the background as class 0; other classes are not read.
        nearby: number of pixels on every side.
        prior: confidence of a group that finds no foreground.
        share: share of the nearby pixels on which certain foreground has the same weight as the prior.

    Returns:
        The confidence (B, S, ...) in [0, 1].
    """
    background = probabilities.detach()[:, :, 0]
    native = native_confidence(background, nearby, prior, share)
    if native is not None:
        return native
    background = background.to(torch.promote_types(background.dtype, torch.float32))  # sums over many pixels
    groups: list[torch.Tensor] = []
    for group in background.unbind(1):  # one group at a time, because each needs several maps
        foreground = (1 - group).nan_to_num(0.0)  # one NaN would spread to all sums
        weights = foreground.square()
        sums, total = foreground * weights, weights
        for axis in range(1, foreground.dim()):
            sums, total = _sums_nearby(sums, axis, nearby), _sums_nearby(total, axis, nearby)
        unknown = share * (2 * nearby + 1) ** (foreground.dim() - 1)
        groups.append((sums + prior * unknown) / (total + unknown))
    return torch.stack(groups, dim=1)


def confidence_weights(confidence: torch.Tensor, sharpness: float = 30.0) -> torch.Tensor:
    """Return the weight (B, S, ...) in [0, 1] of each group from its confidence (B, S, ...).

    The most confident group has weight 1; a group whose confidence is lower by 0.01 has weight exp(-0.3).
    """
    return (sharpness * (confidence - confidence.amax(dim=1, keepdim=True))).exp()


def group_weights(probabilities: torch.Tensor, strategy: str) -> torch.Tensor | None:
    """Return the weights (B, S, ...) of the groups in `fuse`, or None for a strategy without weights.

    Compute them once for the whole image if it is fused in parts or used twice.
    """
    if strategy != "p_conf":
        return None
    return confidence_weights(confidence_nearby(probabilities))


def _sums_nearby(values: torch.Tensor, axis: int, nearby: int) -> torch.Tensor:
    """Return sums over `nearby` pixels on both sides along an axis, with zeros beyond its ends."""
    padding = [0, 0] * (values.dim() - 1 - axis) + [nearby + 1, nearby]
    sums = F.pad(values, padding).cumsum(axis)
    side = 2 * nearby + 1
    length = sums.shape[axis] - side
    return sums.narrow(axis, side, length) - sums.narrow(axis, 0, length)


def fuse(probabilities: torch.Tensor, strategy: str = "p_ens", weights: torch.Tensor | None = None) -> torch.Tensor:
    """Fuse the predictions of all scale groups.

    Strategies:
        `arithmetic`: mean over the groups.
        `p_dist`: prediction of the group with the largest margin.
        `p_ens`: mean of the groups, weighted by the softmax of their margins.
        `p_max`: largest probability of every foreground class and smallest of the background, so one group
            suffices to find an object.
        `p_power`: fourth root of the mean fourth power of every foreground class, a value between mean and maximum.
        `p_conf`: as `p_power`, after the groups are multiplied by their `group_weights`, which depend on their
            confidence within 128 pixels.

    Invariant: the classes of the result sum to 1; with S = 1 the result is the input; the order of the groups does not
    matter, except for ties. `arithmetic`, `p_dist` and `p_ens` are convex combinations of the groups and treat all
    classes alike; `p_max`, `p_power` and `p_conf` need class 0 as background. Only `p_conf` reads other pixels.

    Args:
        probabilities: probabilities (B, S, N, ...) of S scale groups and N >= 2 classes.
        strategy: one of the strategies above.
        weights: `group_weights` of the whole image, or None to compute them from `probabilities`.

    Returns:
        The fused probabilities (B, N, ...).

    Raises:
        ValueError: for an unknown strategy, or for fewer than two classes.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.4 and algorithm 1.
        Sosnovik et al., Scale-Equivariant Steerable Networks, 2020 (`p_max`: projection over the scales).

    >>> fuse(torch.tensor([[0.5, 0.5], [1.0, 0.0]]).reshape(1, 2, 2), "arithmetic")
    tensor([[0.7500, 0.2500]])
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"fusion strategy is '{strategy}'; choose arithmetic, p_dist, p_ens, p_max, p_power or p_conf")
    if probabilities.dim() < 3 or probabilities.shape[2] < 2:
        raise ValueError(
            f"fusion needs (B, S, N, ...) with at least two classes N, got shape {list(probabilities.shape)}; "
            "a binary task has the two classes background and foreground"
        )
    weights = group_weights(probabilities, strategy) if weights is None else weights
    native = native_fuse(probabilities, strategy, weights)
    if native is not None:
        return native
    if strategy == "arithmetic":
        return probabilities.mean(dim=1)
    if strategy in ("p_max", "p_power", "p_conf"):
        if strategy == "p_max":
            background, foreground = probabilities[:, :, :1].amin(dim=1), probabilities[:, :, 1:].amax(dim=1)
        else:
            foreground = _power_mean(probabilities[:, :, 1:], weights)
            background = 1 - _power_mean(1 - probabilities[:, :, :1], weights)
        evidence = torch.cat([background, foreground], dim=1)
        return evidence / evidence.sum(dim=1, keepdim=True)
    confidence = margin(probabilities)
    if strategy == "p_ens":
        return (confidence.softmax(dim=1).unsqueeze(2) * probabilities).sum(dim=1)
    winner = confidence.max(dim=1, keepdim=True).indices.unsqueeze(2)  # (B, 1, 1, ...)
    return probabilities.gather(1, winner.expand_as(probabilities[:, :1])).squeeze(1)


def fuse_directions(
    directions: torch.Tensor, probabilities: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Fuse the directions of all scale groups, weighted by their foreground probabilities.

    Invariant: the result is a convex combination of the groups, with equal weights if no group finds foreground; with
    S = 1 it is the input.

    Args:
        directions: directions (B, S, 2, ...).
        probabilities: probabilities (B, S, N, ...) with the background as class 0.
        weights: `group_weights` of the fusion, or None for equal weights.

    Returns:
        The fused directions (B, 2, ...).
    """
    foreground = 1 - probabilities[:, :, :1]
    if weights is not None:
        foreground = weights.unsqueeze(2) * foreground
    foreground = foreground.clamp(min=1e-6)
    return (foreground * directions).sum(dim=1) / foreground.sum(dim=1)


def fuse_outputs(
    outputs: torch.Tensor, classes: int, strategy: str = "p_ens", weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Fuse the outputs of a network: logits of the classes, and directions if there are two more channels.

    Args:
        outputs: outputs (B, S, N, ...) or (B, S, N + 2, ...).
        classes: number of classes N.
        strategy: see `fuse`.
        weights: see `fuse`.

    Returns:
        Probabilities (B, N, ...), or probabilities and directions (B, N + 2, ...).
    """
    probabilities = outputs[:, :, :classes].softmax(dim=2)
    weights = group_weights(probabilities, strategy) if weights is None else weights
    fused = fuse(probabilities, strategy, weights)
    if outputs.shape[2] == classes:
        return fused
    return torch.cat([fused, fuse_directions(outputs[:, :, classes:], probabilities, weights)], dim=1)


def _power_mean(probabilities: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the power mean of exponent 4 over the groups, (B, S, N, ...) -> (B, N, ...)."""
    if weights is None:
        powers = probabilities.square().square().mean(dim=1)
    else:
        weights = weights.unsqueeze(2)
        powers = (weights * probabilities).square().square().sum(dim=1) / weights.square().square().sum(dim=1)
    return powers.clamp(min=1e-24).sqrt().sqrt()  # the gradient of the root is infinite at 0


def winning_scale(
    probabilities: torch.Tensor, strategy: str = "p_ens", weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the index of the scale group that decides each pixel.

    The deciding group has the largest foreground probability for `p_max` and `p_power`, the largest term of the power
    mean for `p_conf`, and the largest margin for the other strategies.

    Args:
        probabilities: probabilities (B, S, N, ...).
        strategy: fusion strategy.
        weights: weights of the groups, see `fuse`.

    Returns:
        The index (B, 1, ...), int64 in [0, S).
    """
    weights = group_weights(probabilities, strategy) if weights is None else weights
    native = native_fuse(probabilities, strategy, weights, winner=True)
    if native is not None:
        return native
    by_foreground = strategy in ("p_max", "p_power", "p_conf")
    score = probabilities[:, :, 1:].amax(dim=2) if by_foreground else margin(probabilities)
    if weights is not None:
        score = weights * score
    return score.max(dim=1, keepdim=True).indices  # much faster than argmax on a CPU
