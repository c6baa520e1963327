"""From one prediction per scale group to one prediction: the strategies of section 3.4 of the SEUNet paper."""

from __future__ import annotations

import torch

STRATEGIES = ("arithmetic", "p_dist", "p_ens")


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

    Law: the result is a convex combination of the groups, hence still sums to one over the classes; with S = 1 it is
    the input. All strategies commute with every permutation of the classes and, without ties, of the groups.

    Args:
        probabilities: (B, S, N, ...), S scale groups and N >= 2 classes.
        strategy: `arithmetic` (mean over the groups), `p_dist` (the group with the largest margin) or `p_ens` (groups
            weighted by the softmax of their margins).

    Returns:
        (B, N, ...)

    Raises:
        ValueError: for an unknown strategy, or for fewer than two classes.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.4 and algorithm 1.
    """
    if strategy not in ("arithmetic", "p_dist", "p_ens"):
        raise ValueError(f"fusion strategy is '{strategy}'; choose arithmetic, p_dist or p_ens")
    if probabilities.dim() < 3 or probabilities.shape[2] < 2:
        raise ValueError(
            f"fusion needs (B, S, N, ...) with at least two classes N, got shape {list(probabilities.shape)}; "
            "a binary task has the two classes background and foreground"
        )
    if strategy == "arithmetic":
        return probabilities.mean(dim=1)
    confidence = margin(probabilities)
    if strategy == "p_ens":
        return (confidence.softmax(dim=1).unsqueeze(2) * probabilities).sum(dim=1)
    winner = confidence.max(dim=1, keepdim=True).indices.unsqueeze(2)  # (B, 1, 1, ...)
    shape = list(winner.shape)
    shape[2] = probabilities.shape[2]
    return probabilities.gather(1, winner.expand(shape)).squeeze(1)


def winning_scale(probabilities: torch.Tensor) -> torch.Tensor:
    """Index of the scale group that is most confident: which scale decided each pixel.

    Args:
        probabilities: (B, S, N, ...)

    Returns:
        (B, 1, ...), int64 in [0, S).
    """
    return margin(probabilities).max(dim=1, keepdim=True).indices  # on a CPU much faster than argmax
