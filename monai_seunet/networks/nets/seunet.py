"""The scale-equivariant U-Net."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence

import torch
from monai.networks.layers.utils import get_norm_layer

from monai_seunet.errors import InputError
from monai_seunet.fusion import STRATEGIES, fuse, winning_scale
from monai_seunet.networks.blocks import UNetParts, UNetSkeleton
from monai_seunet.networks.layers.norm import ScaleBatchNorm2d
from monai_seunet.networks.layers.sampling import BilinearUpsample2d
from monai_seunet.networks.layers.scale_conv import FoldedScaleConv2d, ScaleConv2d
from monai_seunet.networks.layers.sigma import Bounds, level_bounds

POOLINGS = {"max": torch.nn.MaxPool2d, "average": torch.nn.AvgPool2d}


class SEUNet(UNetSkeleton):
    """Scale-equivariant U-Net: filters are mixtures of Gaussian derivatives at S trainable scales that never mix.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per scale group; with `fusion`, probabilities
    (B, N, H, W). Any H and W.
    Law: each group is a network of its own with the weights of the others and other sigmas, so that any subset of
    groups gives the same slice of the full output (in evaluation mode). Zooming the image moves the prediction from
    group to group.
    Limits: the zoom equivariance is approximate; `geometric` ranges bring it closer than those of the paper.

    Args:
        in_channels: channels of the image.
        out_channels: classes N; two for a binary task.
        width: channels of the finest level over all groups; each further level has twice as many.
        num_levels: resolutions.
        num_scales: scale groups S, each with width / S channels.
        order: highest order of derivative.
        sigma_mode: `constrained`, `fixed` or `free`.
        sigma_ranges: `paper`, `geometric`, or one list of (lower, upper) per level, in pixels of that level.
        truncation: radius of the kernels in units of sigma.
        pooling: `max` as in the paper, or `average`, which commutes with zoom far better: the maximum over two pixels
            grows with the detail between them.
        shared_norm: batch norm with statistics and affine shared by the groups; else separate for each.
        fusion: None, or `arithmetic`, `p_dist`, `p_ens` or `p_max`: return one fused prediction, for deployment.
        recompute: less memory in training for more time.

    Raises:
        InputError: where `num_scales` does not divide `width`, or for an unknown option.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023 (arXiv 2304.04595).
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 60,
        num_levels: int = 5,
        num_scales: int = 5,
        order: int = 1,
        sigma_mode: str = "constrained",
        sigma_ranges: str | Sequence[Bounds] = "paper",
        truncation: float = 2.0,
        pooling: str = "max",
        shared_norm: bool = True,
        fusion: str | None = None,
        recompute: bool = False,
    ) -> None:
        if width % num_scales:
            nearest = max(1, round(width / num_scales)) * num_scales
            raise InputError(f"width {width} does not divide into {num_scales} scale groups; the nearest is {nearest}")
        if fusion is not None and fusion not in STRATEGIES:
            raise InputError(f"fusion is '{fusion}'; choose one of {list(STRATEGIES)} or none")
        if pooling not in POOLINGS:
            raise InputError(f"pooling is '{pooling}'; choose one of {list(POOLINGS)}")
        bounds = level_bounds(sigma_ranges, num_levels, num_scales)

        def conv(inputs: int, outputs: int, level: int, lifting: bool = False) -> ScaleConv2d:
            return ScaleConv2d(inputs, outputs, bounds[level], order, sigma_mode, truncation, lifting, recompute)

        norm = ("scale_batch", {"num_scales": num_scales, "shared": shared_norm, "layout": "batch"})
        parts = UNetParts(
            conv=conv,
            first_conv=lambda i, o, level: conv(i, o, level, lifting=True),
            norm=lambda channels: get_norm_layer(norm, spatial_dims=2, channels=channels),
            pool=lambda: POOLINGS[pooling](2),
            upsample=BilinearUpsample2d,
        )
        widths = [width // num_scales * 2**level for level in range(num_levels)]
        super().__init__(in_channels, out_channels, widths, parts)
        self.num_scales = num_scales
        self.fusion = fusion
        self.options = {"order": order, "sigma_mode": sigma_mode, "truncation": truncation, "pooling": pooling}

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
    def scale_layers(self) -> dict[str, ScaleConv2d]:
        """The scale convolutions by name, from the image to the head."""
        names = [f"encoder{n}" for n in range(len(self.encoder))] + [f"decoder{n}" for n in range(len(self.decoder))]
        stages = [*self.encoder, *self.decoder]
        return {
            f"{name}.{n}": block.conv
            for name, stage in zip(names, stages, strict=True)
            for n, block in enumerate(stage)
            if isinstance(block.conv, ScaleConv2d)
        }

    @torch.jit.unused
    def sigmas(self) -> dict[str, torch.Tensor]:
        """Sigma of every layer and scale group, (S,) each, in pixels of the layer's level."""
        return {name: layer.sigma().detach() for name, layer in self.scale_layers().items()}

    @torch.jit.unused
    def sigma_bounds(self) -> dict[str, torch.Tensor]:
        """Range (lower, upper) of every layer and scale group, (S, 2) each."""
        return {name: layer.sigma.bounds for name, layer in self.scale_layers().items()}

    @torch.jit.unused
    def subset(self, groups: Sequence[int]) -> SEUNet:
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
            if isinstance(module, ScaleConv2d | FoldedScaleConv2d | ScaleBatchNorm2d):
                module.subset(groups)
        return net

    @torch.jit.unused
    def get_extra_state(self) -> torch.Tensor:
        """The options that shape no weight, for the checkpoint: JSON as bytes, which any loader of tensors takes."""
        return torch.tensor(list(json.dumps(self.options).encode()), dtype=torch.uint8)

    @torch.jit.unused
    def set_extra_state(self, state: torch.Tensor) -> None:
        """Refuse the weights of a network that was trained with other options.

        Raises:
            InputError: naming the first option that differs.
        """
        theirs = json.loads(bytes(state.tolist()))
        for name, value in self.options.items():
            if theirs.get(name) != value:
                raise InputError(f"it was trained with {name} {theirs.get(name)!r}, this network has {value!r}")
