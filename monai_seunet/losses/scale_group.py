"""Loss of a network with one prediction per scale group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses import MaskedDiceLoss
from monai.networks import one_hot
from torch import nn
from torch.nn import functional as F

from monai_seunet.fusion import fuse, group_weights
from monai_seunet.losses.direction import DirectionLoss
from monai_seunet.utils.errors import InputError

LEAST = 1e-6  # least probability in logarithms and sums


class ScaleGroupLoss(nn.Module):
    r"""Weighted sum of the cross-entropies of all scale groups (eqs. 8 and 9 of the SEUNet paper).

    $L = \sum_k \tilde\eta_k l_k$ with $\tilde\eta_k = (\eta_k + 1/S) / \sum_j (\eta_j + 1/S)$ and
    $\eta = \mathrm{softmax}$ of S trainable numbers, which are equal at the start. The cross-entropy and the Dice loss
    of the fused prediction and the direction loss are optional terms.

    With a `group_share` below 1, the rest is the cross-entropy of the fused prediction. Then no group has to find the
    objects of every size: each group learns those for which the fusion listens to it. The directions of a group are
    weighted in the same way.

    Shapes: logits (B, S, N, H, W), or (B, N, H, W) for a network with one prediction, and label (B, 1, H, W) of class
    indices -> scalar. With `directions` the logits have N + 2 channels and the label (B, 4, H, W) has the class index
    and the three channels of `CentreDirections`.
    Invariant: the weights sum to 1 and each stays in [1/(2S), (S + 1)/(2S)], so no scale group loses its gradient.
    A label that contains only ignored pixels gives 0.

    Args:
        num_scales: number of scale groups S.
        class_weights: one weight per class, for rare classes; None for equal weights.
        ignore_index: label value of pixels without loss, or None.
        dice: weight of the soft Dice loss of the foreground classes of the fused prediction, over all pixels of a
            batch; 0 as in the paper. With `p_max` no group has to find an object that another group finds.
        fusion: strategy of the fused prediction, see `fuse`. No gradient flows through the weights of `p_conf`.
        group_share: share of the cross-entropies of the groups, in [0, 1]; 1 as in the paper.
        trained_weights: whether the weights of the groups are trained, as in the paper; training moves them towards the
            group that fits the scale of the training images. Otherwise all groups have equal weight.
        directions: weight of the `DirectionLoss`, or None for a network without directions; with 0 the directions are
            not trained and the label needs no directions.

    Raises:
        InputError: for a negative weight of the directions, or a share outside of [0, 1].
        ValueError: for logits and a label whose shapes do not fit, or another number of predictions than `num_scales`.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.3.

    >>> loss = ScaleGroupLoss(num_scales=3)
    >>> loss(torch.zeros(2, 3, 2, 8, 8), torch.zeros(2, 1, 8, 8)).detach()  # ln 2
    tensor(0.6931)
    """

    def __init__(
        self,
        num_scales: int = 5,
        class_weights: Sequence[float] | None = None,
        ignore_index: int | None = None,
        dice: float = 0.0,
        fusion: str = "p_max",
        trained_weights: bool = True,
        directions: float | None = None,
        group_share: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= group_share <= 1:
            raise InputError(f"group_share is {group_share}; give 0 to 1")
        if directions is not None and directions < 0:
            raise InputError(f"direction_weight is {directions}; give 0 or more")
        self.directions, self.direction_loss = directions, DirectionLoss()
        self.dice, self.fusion, self.group_share = dice, fusion, group_share
        self.soft_dice = MaskedDiceLoss(include_background=False, batch=True)
        self.ignore_index = -100 if ignore_index is None else ignore_index
        self.scores = nn.Parameter(torch.zeros(num_scales), requires_grad=trained_weights)
        self.latest = torch.zeros(num_scales)  # losses of the groups in the last call, for logs
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.class_weights: torch.Tensor | None
        self.register_buffer("class_weights", weights)

    def weights(self) -> torch.Tensor:
        """Return the weights (S,) of the scale groups, which sum to 1."""
        weights = self.scores.softmax(0) + 1.0 / self.scores.numel()
        return weights / weights.sum()

    def per_scale(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy (S,) of every scale group."""
        logits = by_group(logits)
        if logits.dim() != 5 or logits.shape[1] != self.scores.numel():
            raise ValueError(
                f"the loss has num_scales={self.scores.numel()} and got logits of shape {list(logits.shape)}; "
                "(B, S, N, H, W) is expected: give loss and network the same num_scales"
            )
        if list(label.shape) != [len(logits), 1, *logits.shape[-2:]]:
            raise ValueError(f"label of shape {list(label.shape)} does not fit logits of shape {list(logits.shape)}")
        target = label[:, 0].long()
        weight = None if self.class_weights is None else self.class_weights.to(logits.dtype)
        if self.ignore_index >= 0 and not bool((target != self.ignore_index).any()):
            return 0 * logits.sum((0, 2, 3, 4))  # the mean over no pixels would be NaN
        return torch.stack(
            [F.cross_entropy(head, target, weight, ignore_index=self.ignore_index) for head in logits.unbind(1)]
        )

    def fused(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the fused probabilities (B, N, H, W); ignored pixels are background, so they do not change others."""
        probabilities = by_group(logits).softmax(2)
        if self.ignore_index >= 0:
            background = torch.zeros_like(probabilities[:, :, :, :1, :1])
            background[:, :, 0] = 1
            counts = (label.long() != self.ignore_index).unsqueeze(1)
            probabilities = torch.where(counts, probabilities, background)
        return fuse(probabilities, self.fusion)

    def fused_dice(self, fused: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the soft Dice loss of fused probabilities, a scalar."""
        counts = label.long() != self.ignore_index
        truth = one_hot(label.long() * counts, fused.shape[1], dtype=fused.dtype)
        return self.soft_dice(fused, truth, counts)

    def fused_entropy(self, fused: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of fused probabilities, a scalar."""
        target = label[:, 0].long()
        if self.ignore_index >= 0 and not bool((target != self.ignore_index).any()):
            return 0 * fused.sum()
        weight = None if self.class_weights is None else self.class_weights.to(fused.dtype)
        return F.nll_loss(fused.clamp(min=LEAST).log(), target, weight, ignore_index=self.ignore_index)

    def forward(self, outputs: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss, a scalar."""
        if self.directions is None:
            return self._class_loss(outputs, label)
        outputs, classes = by_group(outputs), outputs.shape[-3] - 2
        if classes < 2 or (self.directions and label.shape[1] != 4):
            raise ValueError(
                f"the loss has directions={self.directions} and got outputs of shape {list(outputs.shape)} and a label "
                f"of shape {list(label.shape)}; N + 2 channels and a label of 4 are expected: give loss, network and "
                "label directions, or none of them"
            )
        loss = self._class_loss(outputs[:, :, :classes], label[:, :1])
        if not self.directions:
            return loss
        shares = None if self.group_share == 1 else self.shares(outputs[:, :, :classes])
        return loss + self.directions * self.direction_loss(outputs[:, :, classes:], label[:, 1:], shares)

    def _class_loss(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        losses = self.per_scale(logits, label)
        self.latest = losses.detach()
        loss = self.group_share * (self.weights() * losses).sum()
        if not self.dice and self.group_share == 1:
            return loss
        fused = self.fused(logits, label)
        if self.group_share < 1:
            loss = loss + (1 - self.group_share) * self.fused_entropy(fused, label)
        return loss + self.dice * self.fused_dice(fused, label) if self.dice else loss

    @torch.no_grad()
    def shares(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the share (B, S, H, W) of every group in the loss of the directions; the shares of a pixel sum to 1.

        The groups share equally in `group_share`, and in the rest as in `fuse_directions`.
        """
        probabilities = logits.softmax(2)
        heard = 1 - probabilities[:, :, 0]
        weights = group_weights(probabilities, self.fusion)
        heard = (heard if weights is None else weights * heard).clamp(min=LEAST)
        return (1 - self.group_share) * heard / heard.sum(1, keepdim=True) + self.group_share / logits.shape[1]


def by_group(logits: torch.Tensor) -> torch.Tensor:
    """Return logits (B, S, N, H, W); logits (B, N, H, W) become one group."""
    return logits if logits.dim() == 5 else logits.unsqueeze(1)
