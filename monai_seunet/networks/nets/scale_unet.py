"""What every U-Net with scale groups does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.networks.layers.utils import get_norm_layer

from monai_seunet.errors import InputError
from monai_seunet.flags import flag
from monai_seunet.fusion import STRATEGIES, fuse, winning_scale
from monai_seunet.networks.blocks import UNetParts, UNetSkeleton
from monai_seunet.networks.kept_options import KeepsOptions
from monai_seunet.networks.layers.norm import ScaleBatchNorm2d
from monai_seunet.networks.layers.sampling import BilinearUpsample2d
from monai_seunet.networks.layers.scale_conv import FoldedScaleConv2d, ScaleConv2d
from monai_seunet.networks.layers.scale_groups import FoldedGroups, ScaleGroupConv

POOLINGS = {"max": torch.nn.MaxPool2d, "average": torch.nn.AvgPool2d}

MakeConv = Callable[[int, int, int, bool], ScaleGroupConv]


class ScaleUNet(KeepsOptions, UNetSkeleton):
    """U-Net whose scale groups never mix, generic over the kind of scale convolution.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per scale group; with `fusion`, probabilities
    (B, N, H, W). Any H and W.
    Law: each group is a network of its own with the weights of the others at another scale, so that any subset of
    groups gives the same slice of the full output (in evaluation mode).

    Args:
        in_channels: channels of the image.
        out_channels: classes N; two for a binary task.
        width: channels of the finest level over all groups; each further level has twice as many.
        num_levels: resolutions.
        num_scales: scale groups S, each with width / S channels.
        conv: (in_channels, out_channels, level, lifting) -> the scale convolution, in channels of one group.
        pooling: `max`, or `average`, which commutes with zoom far better: the maximum over two pixels grows with the
            detail between them.
        shared_norm: batch norm with statistics and affine shared by the groups; else separate for each.
        fusion: None, or `arithmetic`, `p_dist`, `p_ens` or `p_max`: return one fused prediction, for deployment.
        options: what shapes no weight and still has to be the same when weights are loaded.
        parts: layers that replace the usual ones, for networks that have more than scale groups.
        sizes: see `UNetSkeleton`.

    Raises:
        InputError: where `num_scales` does not divide `width`, or for an unknown option.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        num_levels: int,
        num_scales: int,
        conv: MakeConv,
        pooling: str,
        shared_norm: bool,
        fusion: str | None,
        options: dict[str, Any],
        parts: dict[str, Any] | None = None,
        sizes: str = "any",
    ) -> None:
        if width % num_scales:
            nearest = max(1, round(width / num_scales)) * num_scales
            raise InputError(f"width {width} does not divide into {num_scales} scale groups; the nearest is {nearest}")
        if fusion is not None and fusion not in STRATEGIES:
            raise InputError(f"fusion is '{fusion}'; choose one of {list(STRATEGIES)} or none")
        if pooling not in POOLINGS:
            raise InputError(f"pooling is '{pooling}'; choose one of {list(POOLINGS)}")
        norm = ("scale_batch", {"num_scales": num_scales, "shared": flag(shared_norm), "layout": "batch"})
        usual: dict[str, Any] = {
            "conv": lambda i, o, level: conv(i, o, level, False),
            "first_conv": lambda i, o, level: conv(i, o, level, True),
            "norm": lambda channels: get_norm_layer(norm, spatial_dims=2, channels=channels),
            "pool": lambda: POOLINGS[pooling](2),
            "upsample": BilinearUpsample2d,
        }
        widths = [width // num_scales * 2**level for level in range(num_levels)]
        super().__init__(in_channels, out_channels, widths, UNetParts(**(usual | (parts or {}))), sizes=sizes)
        self.num_scales = num_scales
        self.fusion = fusion
        self.options = options | {"pooling": pooling}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of every scale group, or the fused probabilities."""
        logits = self.heads(x)
        if self.fusion is None:
            return logits
        return fuse(logits.softmax(dim=2), self.fusion)

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of every scale group, (B, S, N, H, W)."""
        logits = self.logits(x)  # (S * B, N, H, W)
        return logits.unflatten(0, (self.num_scales, -1)).transpose(0, 1)

    @torch.jit.unused
    def forward_with_scale(self, x: torch.Tensor, strategy: str = "p_ens") -> tuple[torch.Tensor, torch.Tensor]:
        """Fused probabilities (B, N, H, W), and the scale group that decided, (B, 1, H, W)."""
        probabilities = self.heads(x).softmax(dim=2)
        return fuse(probabilities, strategy), winning_scale(probabilities, strategy)

    @torch.jit.unused
    def scale_layers(self) -> dict[str, ScaleGroupConv]:
        """The scale convolutions by name, from the image to the head."""
        names = [f"encoder{n}" for n in range(len(self.encoder))] + [f"decoder{n}" for n in range(len(self.decoder))]
        stages = [*self.encoder, *self.decoder]
        return {
            f"{name}.{n}": block.conv
            for name, stage in zip(names, stages, strict=True)
            for n, block in enumerate(stage)
            if isinstance(block.conv, ScaleGroupConv)
        }

    @torch.jit.unused
    def subset(self, groups: Sequence[int]) -> ScaleUNet:
        """A copy that runs some scale groups only: the same slice of the output, at that fraction of the cost.

        Args:
            groups: indices in [0, S), without repetition.

        Raises:
            ValueError: for an index out of range, none at all, or one given twice.
        """
        if not groups or len(set(groups)) != len(groups) or not all(0 <= k < self.num_scales for k in groups):
            raise ValueError(f"groups are {list(groups)}; give different indices from 0 to {self.num_scales - 1}")
        net = copy.deepcopy(self)
        net.num_scales = len(groups)
        for module in net.modules():
            if isinstance(module, ScaleGroupConv | FoldedScaleConv2d | FoldedGroups | ScaleBatchNorm2d):
                module.subset(groups)
        return net


class TrainedScaleUNet(ScaleUNet):
    """A U-Net with scale groups whose sigmas are trained, and can be asked for."""

    @torch.jit.unused
    def _sigma_layers(self) -> dict[str, ScaleConv2d]:
        return {name: layer for name, layer in self.scale_layers().items() if isinstance(layer, ScaleConv2d)}

    @torch.jit.unused
    def sigmas(self) -> dict[str, torch.Tensor]:
        """Sigma of every layer and scale group, (S,) each, in pixels of the layer's level."""
        return {name: layer.sigma().detach() for name, layer in self._sigma_layers().items()}

    @torch.jit.unused
    def sigma_bounds(self) -> dict[str, torch.Tensor]:
        """Range (lower, upper) of every layer and scale group, (S, 2) each."""
        return {name: layer.sigma.bounds for name, layer in self._sigma_layers().items()}
