"""Batch norm for scale groups, and its registration in MONAI's layer factories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.layers import Norm
from torch import nn

from monai_seunet.networks.layers.narrow_norm import NarrowBatchNorm2d


class ScaleBatchNorm2d(nn.Module):
    """Batch norm with shared or separate statistics and affine for scale groups.

    Shapes: layout `batch`: (S * B, C, H, W), groups outermost; layout `channels`: (B, S * C, H, W), each group a block
    of channels. The output has the shape of the input.
    Invariant: a shared norm commutes with every permutation of the groups. In a separate norm, groups are independent.

    Args:
        num_features: number of channels of an item: C in the layout `batch`, S * C in the layout `channels`.
        num_scales: number of scale groups S.
        shared: True for one set of statistics and affine for all groups.
        layout: axis of the groups, `batch` or `channels` (for networks without a scale axis, like MONAI's).
        eps: number that is added to the variance.
        momentum: momentum of the running statistics.

    Raises:
        ValueError: the layout is unknown, or the groups do not divide the channels.

    >>> ScaleBatchNorm2d(num_features=4, num_scales=2, layout="batch")(torch.zeros(6, 4, 8, 8)).shape
    torch.Size([6, 4, 8, 8])
    """

    def __init__(
        self,
        num_features: int,
        num_scales: int = 1,
        shared: bool = True,
        layout: str = "channels",
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if layout not in ("batch", "channels"):
            raise ValueError(f"layout is '{layout}'; choose batch or channels")
        if layout == "channels" and num_features % num_scales:
            raise ValueError(f"num_features {num_features} does not divide into num_scales {num_scales}")
        self.num_scales, self.shared, self.layout = num_scales, shared, layout
        channels = num_features if layout == "batch" else num_features // num_scales
        self.norms = nn.ModuleList(
            NarrowBatchNorm2d(channels, eps=eps, momentum=momentum) for _ in range(1 if shared else num_scales)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise every channel."""
        if self.layout == "batch":
            return self._normalise(x)
        groups = x.unflatten(1, (self.num_scales, -1)).transpose(0, 1).flatten(0, 1)  # (S * B, C, H, W)
        groups = self._normalise(groups)
        return groups.unflatten(0, (self.num_scales, -1)).transpose(0, 1).flatten(1, 2)

    def _normalise(self, x: torch.Tensor) -> torch.Tensor:
        outputs = [norm(group) for norm, group in zip(self.norms, x.chunk(len(self.norms)), strict=True)]
        return outputs[0] if self.shared else torch.cat(outputs)

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the factor and the offset of the norm in evaluation mode, (1 or S, C) each."""
        norms = [n for n in self.norms if isinstance(n, nn.BatchNorm2d)]
        scale = torch.stack([n.weight * (n.get_buffer("running_var") + n.eps).rsqrt() for n in norms])
        mean, bias = torch.stack([n.get_buffer("running_mean") for n in norms]), torch.stack([n.bias for n in norms])
        return scale, bias - mean * scale

    def subset(self, groups: Sequence[int]) -> None:
        """Keep only the given groups, in place."""
        self.num_scales = len(groups)
        if not self.shared:
            self.norms = nn.ModuleList(self.norms[k] for k in groups)


@Norm.factory_function("scale_batch")
def scale_batch_factory(dim: int) -> type[ScaleBatchNorm2d]:
    """Return the norm for the name `scale_batch` in MONAI's `Norm`, for two dimensions."""
    if dim != 2:
        raise ValueError(f"the norm scale_batch has 2 spatial dimensions, got {dim}")
    return ScaleBatchNorm2d
