"""From one prediction per scale group to one prediction: the strategies of the SEUNet paper, and scale projection."""

from __future__ import annotations

import torch

STRATEGIES = ("arithmetic", "p_dist", "p_ens", "p_max", "p_joint")

FAINTEST = -30.0  # logarithm of the least evidence of a head, which keeps its probabilities in float32


def joint_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Softmax over all classes of all heads together.

    A head's sum over its classes is how much it is heard: the constant that a softmax over the classes of one head
    ignores. Divided by that sum they are the head's own probabilities.

    Args:
        logits: (B, S, N, ...), S heads and N classes.

    Returns:
        (B, S, N, ...), with sum one over heads and classes.
    """
    own = logits.log_softmax(dim=2)
    heard = logits.logsumexp(dim=2, keepdim=True)
    heard = (heard - heard.amax(dim=1, keepdim=True)).clamp(min=FAINTEST)
    return (own + heard.log_softmax(dim=1)).exp()


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

    Law: the result sums to one over the classes; with S = 1 it is the group's own prediction. The order of the groups
    does not matter (without ties). All but `p_max` are convex combinations of the groups and treat all classes alike;
    `p_max` is for a class 0 that is background. How much a group is heard changes `p_joint` alone.

    Args:
        probabilities: (B, S, N, ...), S scale groups and N >= 2 classes: each group's own, or those of all groups
            together (`joint_probabilities`).
        strategy: `arithmetic` (mean over the groups), `p_dist` (the group with the largest margin), `p_ens` (groups
            weighted by the softmax of their margins), `p_max` (the largest probability of every foreground class,
            the smallest of the background: what one group finds, no group that is blind at this scale can undo) or
            `p_joint` (groups weighted by how much each says that it is to be heard; for networks trained so).

    Returns:
        (B, N, ...)

    Raises:
        ValueError: for an unknown strategy, or for fewer than two classes.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.4 and algorithm 1.
        Sosnovik et al., Scale-Equivariant Steerable Networks, 2020 (`p_max`: projection over the scales).
    """
    if strategy not in ("arithmetic", "p_dist", "p_ens", "p_max", "p_joint"):
        raise ValueError(f"fusion strategy is '{strategy}'; choose arithmetic, p_dist, p_ens, p_max or p_joint")
    if probabilities.dim() < 3 or probabilities.shape[2] < 2:
        raise ValueError(
            f"fusion needs (B, S, N, ...) with at least two classes N, got shape {list(probabilities.shape)}; "
            "a binary task has the two classes background and foreground"
        )
    if strategy == "p_joint":
        together = probabilities.sum(dim=1)
        return together / together.sum(dim=1, keepdim=True)
    probabilities = own_probabilities(probabilities)
    if strategy == "arithmetic":
        return probabilities.mean(dim=1)
    if strategy == "p_max":
        foreground = probabilities[:, :, 1:].amax(dim=1)
        evidence = torch.cat([probabilities[:, :, :1].amin(dim=1), foreground], dim=1)
        return evidence / evidence.sum(dim=1, keepdim=True)
    confidence = margin(probabilities)
    if strategy == "p_ens":
        return (confidence.softmax(dim=1).unsqueeze(2) * probabilities).sum(dim=1)
    winner = confidence.max(dim=1, keepdim=True).indices.unsqueeze(2)  # (B, 1, 1, ...)
    shape = list(winner.shape)
    shape[2] = probabilities.shape[2]
    return probabilities.gather(1, winner.expand(shape)).squeeze(1)


def fuse_logits(logits: torch.Tensor, strategy: str = "p_ens") -> torch.Tensor:
    """Fused probabilities (B, N, ...) from the logits of all heads (B, S, N, ...), see `fuse`."""
    return fuse(joint_probabilities(logits) if strategy == "p_joint" else logits.softmax(dim=2), strategy)


def own_probabilities(probabilities: torch.Tensor) -> torch.Tensor:
    """Probabilities of each head alone, with sum one over its classes: (B, S, N, ...) -> (B, S, N, ...)."""
    return probabilities / probabilities.sum(dim=2, keepdim=True)


def winning_scale(probabilities: torch.Tensor, strategy: str = "p_ens") -> torch.Tensor:
    """Index of the scale group that decided each pixel.

    Args:
        probabilities: (B, S, N, ...)
        strategy: of the fusion: for `p_max` the group with the largest foreground probability decides, for `p_joint`
            the one that is heard most, else the most confident one.

    Returns:
        (B, 1, ...), int64 in [0, S).
    """
    if strategy == "p_joint":
        score = probabilities.sum(dim=2)
    else:
        own = own_probabilities(probabilities)
        score = own[:, :, 1:].amax(dim=2) if strategy == "p_max" else margin(own)
    return score.max(dim=1, keepdim=True).indices  # on a CPU much faster than argmax
