"""From one prediction per scale group to one prediction: the strategies of the SEUNet paper, and scale projection."""

from __future__ import annotations

import torch

STRATEGIES = ("arithmetic", "p_dist", "p_ens", "p_max", "p_power")


def margin(probabilities: torch.Tensor) -> torch.Tensor:
    """Confidence of each scale group: the largest class probability minus the second largest.

    Args:
        probabilities: (B, S, N, ...), S scale groups and N >= 2 classes that sum to one.

    Returns:
        (B, S, ...), in [0, 1]; 0 where the two best classes tie.
    """
    best = probabilities.topk(2, dim=2).values
    return best[:, :, 0] - best[:, :, 1]


def fuse(probabilities: torch.Tensor, strategy: str = "p_ens") -> torch.Tensor:
    """Combine the predictions of all scale groups into one.

    Law: the result sums to one over the classes; with S = 1 it is the input. The order of the groups does not matter
    (without ties). `arithmetic`, `p_dist` and `p_ens` are convex combinations of the groups and treat all classes
    alike; `p_max` and `p_power` are for a class 0 that is background.

    Args:
        probabilities: (B, S, N, ...), S scale groups and N >= 2 classes.
        strategy: `arithmetic` (mean over the groups), `p_dist` (the group with the largest margin), `p_ens` (groups
            weighted by the softmax of their margins), `p_max` (the largest probability of every foreground class,
            the smallest of the background: what one group finds, no group that is blind at this scale can undo) or
            `p_power` (the fourth root of the mean fourth power of every foreground class, between the mean and the
            maximum: what one group finds alone counts for less than what several find, and for more than in the mean).

    Returns:
        (B, N, ...)

    Raises:
        ValueError: for an unknown strategy, or for fewer than two classes.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.4 and algorithm 1.
        Sosnovik et al., Scale-Equivariant Steerable Networks, 2020 (`p_max`: projection over the scales).
    """
    if strategy not in ("arithmetic", "p_dist", "p_ens", "p_max", "p_power"):
        raise ValueError(f"fusion strategy is '{strategy}'; choose arithmetic, p_dist, p_ens, p_max or p_power")
    if probabilities.dim() < 3 or probabilities.shape[2] < 2:
        raise ValueError(
            f"fusion needs (B, S, N, ...) with at least two classes N, got shape {list(probabilities.shape)}; "
            "a binary task has the two classes background and foreground"
        )
    if strategy == "arithmetic":
        return probabilities.mean(dim=1)
    if strategy == "p_max":
        foreground = probabilities[:, :, 1:].amax(dim=1)
        evidence = torch.cat([probabilities[:, :, :1].amin(dim=1), foreground], dim=1)
        return evidence / evidence.sum(dim=1, keepdim=True)
    if strategy == "p_power":
        foreground = _power_mean(probabilities[:, :, 1:])
        background = 1 - _power_mean(1 - probabilities[:, :, :1])
        evidence = torch.cat([background, foreground], dim=1)
        return evidence / evidence.sum(dim=1, keepdim=True)
    confidence = margin(probabilities)
    if strategy == "p_ens":
        return (confidence.softmax(dim=1).unsqueeze(2) * probabilities).sum(dim=1)
    winner = confidence.max(dim=1, keepdim=True).indices.unsqueeze(2)  # (B, 1, 1, ...)
    shape = list(winner.shape)
    shape[2] = probabilities.shape[2]
    return probabilities.gather(1, winner.expand(shape)).squeeze(1)


def _power_mean(probabilities: torch.Tensor) -> torch.Tensor:
    """The power mean of exponent 4 over the groups, (B, S, ...) -> (B, ...)."""
    tiny = 1e-24  # the root has no slope at 0
    return probabilities.square().square().mean(dim=1).clamp(min=tiny).sqrt().sqrt()


def winning_scale(probabilities: torch.Tensor, strategy: str = "p_ens") -> torch.Tensor:
    """Index of the scale group that decided each pixel.

    Args:
        probabilities: (B, S, N, ...)
        strategy: of the fusion: for `p_max` and `p_power` the group with the largest foreground probability decides,
            else the most confident one.

    Returns:
        (B, 1, ...), int64 in [0, S).
    """
    by_foreground = strategy in ("p_max", "p_power")
    score = probabilities[:, :, 1:].amax(dim=2) if by_foreground else margin(probabilities)
    return score.max(dim=1, keepdim=True).indices  # on a CPU much faster than argmax
