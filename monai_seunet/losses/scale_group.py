"""The loss of a network with one prediction per scale group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses import MaskedDiceLoss
from monai.networks import one_hot
from torch import nn
from torch.nn import functional as F

from monai_seunet.fusion import fuse
from monai_seunet.losses.direction import DirectionLoss
from monai_seunet.utils.errors import InputError


class ScaleGroupLoss(nn.Module):
    r"""Weighted sum of one cross-entropy per scale group, with trained weights (eqs. 8 and 9 of the SEUNet paper).

    $L = \sum_k \tilde\eta_k l_k$, plus the Dice loss of the fused prediction where wanted, with
    $\tilde\eta_k = (\eta_k + 1/S) / \sum_j (\eta_j + 1/S)$ and
    $\eta = \mathrm{softmax}$ of S trainable numbers that start equal.

    Shapes: logits (B, S, N, H, W), or (B, N, H, W) for a network with one prediction; label (B, 1, H, W) of class
    indices -> scalar. With `directions`, N + 2 channels, and label (B, 4, H, W), the class index and what
    `CentreDirections` gives.
    Invariant: the weights sum to one and each stays in [1/(2S), (S + 1)/(2S)], so that no scale group dies. Labels
    without a pixel that counts give 0.

    Args:
        num_scales: S.
        class_weights: one weight per class, for rare classes; None for equal weights.
        ignore_index: label value of pixels that carry no loss; None where all pixels do.
        dice: weight of the soft Dice loss of the foreground classes of the fused prediction, over all pixels of a
            batch; 0 for none, as in the paper. By `p_max` it urges no group to see what another one sees.
        fusion: strategy of the fused prediction, see `fuse`.
        trained_weights: train the weights of the groups, as in the paper, which moves them to the group that fits the
            training scale; else all groups count alike.
        directions: weight of the `DirectionLoss`; None for a network without directions. With 0 the directions of the
            network are not trained, and a label of class indices is enough.

    Raises:
        InputError: for a negative weight of the directions.
        ValueError: where logits and label disagree in size or channels, or the number of predictions is not
            `num_scales`.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.3.
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
    ) -> None:
        super().__init__()
        if directions is not None and directions < 0:
            raise InputError(f"direction_weight is {directions}; give 0 or more")
        self.directions, self.direction_loss = directions, DirectionLoss()
        self.dice, self.fusion = dice, fusion
        self.soft_dice = MaskedDiceLoss(include_background=False, batch=True)
        self.ignore_index = -100 if ignore_index is None else ignore_index
        self.scores = nn.Parameter(torch.zeros(num_scales), requires_grad=trained_weights)
        self.latest = torch.zeros(num_scales)  # losses of the groups in the last call, for the record
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.class_weights: torch.Tensor | None
        self.register_buffer("class_weights", weights)

    def weights(self) -> torch.Tensor:
        """The weights of the scale groups in the loss, (S,), which sum to one."""
        raised = self.scores.softmax(0) + 1.0 / self.scores.numel()
        return raised / raised.sum()

    def per_scale(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each scale group, (S,)."""
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
            return 0 * logits.sum((0, 2, 3, 4))  # the mean over no pixel, which would not be a number
        return torch.stack(
            [F.cross_entropy(head, target, weight, ignore_index=self.ignore_index) for head in logits.unbind(1)]
        )

    def fused_dice(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Soft Dice loss of the fused prediction, a scalar."""
        counts = label.long() != self.ignore_index
        probabilities = by_group(logits).softmax(2)
        background = torch.zeros_like(probabilities[:, :, :, :1, :1])
        background[:, :, 0] = 1  # what is ignored is nothing that a group finds, whatever the fusion sees of it
        fused = fuse(torch.where(counts.unsqueeze(1), probabilities, background), self.fusion)
        truth = one_hot(label.long() * counts, fused.shape[1], dtype=fused.dtype)
        loss: torch.Tensor = self.soft_dice(fused, truth, counts)
        return loss

    def forward(self, outputs: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss, a scalar."""
        if self.directions is None:
            return self._of_classes(outputs, label)
        outputs, classes = by_group(outputs), outputs.shape[-3] - 2
        if classes < 2 or (self.directions and label.shape[1] != 4):
            raise ValueError(
                f"the loss has directions={self.directions} and got outputs of shape {list(outputs.shape)} and a label "
                f"of shape {list(label.shape)}; N + 2 channels and a label of 4 are expected: give loss, network and "
                "label directions, or none of them"
            )
        loss = self._of_classes(outputs[:, :, :classes], label[:, :1])
        if not self.directions:
            return loss
        return loss + self.directions * self.direction_loss(outputs[:, :, classes:], label[:, 1:])

    def _of_classes(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        losses = self.per_scale(logits, label)
        self.latest = losses.detach()
        entropy = (self.weights() * losses).sum()
        return entropy + self.dice * self.fused_dice(logits, label) if self.dice else entropy


def by_group(logits: torch.Tensor) -> torch.Tensor:
    """(B, S, N, H, W); a network with one prediction has one group."""
    return logits if logits.dim() == 5 else logits.unsqueeze(1)
