"""Base of U-Nets with scale groups."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from monai.data import MetaTensor
from monai.networks.layers.utils import get_norm_layer
from torch import nn

from monai_seunet.fusion import STRATEGIES, fuse_outputs, group_weights, winning_scale
from monai_seunet.networks.compiled.network import native_network
from monai_seunet.networks.compiled.training import native_training
from monai_seunet.networks.layers.gaussian.scale_conv import FoldedScaleConv2d
from monai_seunet.networks.layers.norm import ScaleBatchNorm2d
from monai_seunet.networks.layers.octaves import octave_images, on_image_grid
from monai_seunet.networks.layers.recording import is_recorded
from monai_seunet.networks.layers.sampling import BilinearUpsample2d
from monai_seunet.networks.layers.scale_groups import FoldedGroups, ScaleGroupConv
from monai_seunet.networks.unet.base import KeepsOptions, joined_runs
from monai_seunet.networks.unet.foreground import Part, part_foreground
from monai_seunet.networks.unet.parts import UNetParts
from monai_seunet.networks.unet.skeleton import UNetSkeleton
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.parsing import parse_bool

LEAST_PIXELS = 2  # least side of the coarsest level of an octave
POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}

MakeConv = Callable[[int, int, int, bool], nn.Module]


class ScaleUNet(KeepsOptions, UNetSkeleton):
    """U-Net whose scale groups never mix, for any type of scale convolution.

    The next octave has the same groups, weights and filters on the image halved by 2 x 2 averages; its logits are
    doubled back.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per scale group, from fine to coarse; with
    `fusion`, probabilities (B, N, H, W). With `directions`, N + 2 channels, the direction (y, x) after the classes. Any
    H and W.
    Invariant (in evaluation mode): a scale group does not depend on the others, so a subset of groups gives the
    same slice of the output. The output of an octave equals the doubled output of the octave before for the halved
    image, exactly if H and W are multiples of twice the stride.
    Limits: an octave needs sides of at least twice its stride, since its coarsest level would have one pixel. Coarser
    octaves are an error in training; in evaluation they are left out with a warning.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level over all groups; it doubles from level to level.
        num_levels: number of resolutions.
        scales_per_octave: number of scale groups in an octave.
        conv: function of in_channels, out_channels (of one group), level and lifting, for scale convolutions.
        pooling: `max` or `average`; `average` commutes much better with zoom, since the maximum depends on detail.
        shared_norm: True for batch norms that the groups share; False for separate norms.
        fusion: one of `fusion.STRATEGIES` for one fused prediction; None for the logits of all groups.
        options: values that do not change the shapes of weights, and must be the same when weights are loaded.
        num_octaves: number of octaves; S = num_octaves * scales_per_octave groups have width / S channels each. The
            number of weights does not depend on it.
        finest_octave: first octave: 0 for the image itself, -1 for the doubled image, at four times the cost, for
            images of very low magnification.
        parts: functions by name that replace those of `UNetParts`.
        sizes: treatment of images with an odd side, see `UNetSkeleton`.
        directions: True to predict directions in every scale group, see `UNetSkeleton`.

    Raises:
        InputError: the groups do not divide `width`, several octaves have separate norms, or an option is unknown.
    """

    has_scale_groups = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        num_levels: int,
        scales_per_octave: int,
        conv: MakeConv,
        pooling: str,
        shared_norm: bool,
        fusion: str | None,
        options: dict[str, Any],
        num_octaves: int = 1,
        finest_octave: int = 0,
        parts: dict[str, Any] | None = None,
        sizes: str = "any",
        directions: bool = False,
    ) -> None:
        num_scales = num_octaves * scales_per_octave
        if num_octaves < 1 or scales_per_octave < 1:
            raise InputError(
                f"num_octaves is {num_octaves} and scales_per_octave {scales_per_octave}; give numbers above 0"
            )
        if finest_octave not in (-1, 0):
            raise InputError(f"finest_octave is {finest_octave}; choose 0 for the image, or -1 for the doubled image")
        if width % num_scales:
            nearest = max(1, round(width / num_scales)) * num_scales
            raise InputError(f"width {width} does not divide into {num_scales} scale groups; the nearest is {nearest}")
        if fusion is not None and fusion not in STRATEGIES:
            raise InputError(f"fusion is '{fusion}'; choose one of {list(STRATEGIES)} or none")
        if pooling not in POOLINGS:
            raise InputError(f"pooling is '{pooling}'; choose one of {list(POOLINGS)}")
        if num_octaves > 1 and not parse_bool(shared_norm):
            raise InputError(
                "shared_norm is false, but octaves share their norms; take one octave, or shared_norm true"
            )
        norm = ("scale_batch", {"num_scales": scales_per_octave, "shared": parse_bool(shared_norm), "layout": "batch"})
        usual: dict[str, Any] = {
            "conv": lambda i, o, level: conv(i, o, level, False),
            "first_conv": lambda i, o, level: conv(i, o, level, True),
            "norm": lambda channels: get_norm_layer(norm, spatial_dims=2, channels=channels),
            "pool": lambda: POOLINGS[pooling](2),
            "upsample": BilinearUpsample2d,
        }
        widths = [width // num_scales * 2**level for level in range(num_levels)]
        all_parts = UNetParts(**(usual | (parts or {})))
        super().__init__(in_channels, out_channels, widths, all_parts, sizes=sizes, directions=directions)
        self.num_scales, self.scales_per_octave = num_scales, scales_per_octave
        self.octaves = [finest_octave + n for n in range(num_octaves)]
        self.stride *= 2 ** max(self.octaves[-1], 0)
        self.others = nn.ModuleList()  # networks of a subset with other groups in other octaves
        self.fusion = fusion
        self.options = options | {"pooling": pooling} | ({"directions": True} if directions else {})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of every scale group, or fused probabilities; directions follow as channels."""
        outputs = self.outputs(x)
        if self.fusion is None:
            return outputs
        return fuse_outputs(outputs, self.out_channels, self.fusion)

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """See `Network`."""
        return self._of_fitting_octaves(self.all_outputs(x))

    def all_outputs(self, x: torch.Tensor) -> torch.Tensor:
        """See `Network`."""
        groups = len(self.octaves) * self.scales_per_octave
        outputs = self.logits(x).unflatten(0, (groups, -1)).transpose(0, 1)
        for other in self.others:
            outputs = torch.cat([outputs, other.all_outputs(x)], dim=1)  # type: ignore[operator]
        return outputs

    def full_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (S * B, N, H, W) of an image whose H and W are multiples of the stride."""
        logits = self._native_logits(x)
        if logits is not None:
            return logits
        maps = self.features(octave_images(x, self.octaves))
        return on_image_grid([self.head(m) for m in maps], self.octaves)

    def foreground(self, x: torch.Tensor, part: Part | None = None) -> torch.Tensor:
        """Return probabilities (B, S, N - 1, height, width) of the foreground classes of every scale group.

        Directions follow as two more channels.

        Invariant: equal to the softmax of `heads` up to rounding.

        Args:
            x: images (B, C, H, W).
            part: top, left, height and width of a part of the images; None for whole images.

        Raises:
            ValueError: x has another shape, or the part is not within the images.
        """
        self.check_image(x)
        rows, columns = x.shape[2:]
        top, left, height, width = part = part or (0, 0, rows, columns)
        if min(top, left) < 0 or min(height, width) < 1 or top + height > rows or left + width > columns:
            raise ValueError(f"part (top, left, height, width) is {part}; the images have {rows} x {columns} pixels")
        whole = not (self.others or rows % self.stride or columns % self.stride or self.coarse_octaves(rows, columns))
        changed = any(getattr(type(self), name) is not getattr(ScaleUNet, name) for name in _WAYS_TO_LOGITS)
        native = native_network(self, self.octaves, x) if whole and not changed else None
        if native is None or self.out_channels < 2:
            return part_foreground(self.outputs(x) if self.directions else self.heads(x), self.out_channels, part)
        return native.foreground(x, part, self.out_channels).unflatten(0, (self.num_scales, -1)).transpose(0, 1)

    def _native_logits(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return `full_logits` by the native kernels; None if torch has to run the network."""
        if isinstance(x, MetaTensor):
            logits = self._native_logits(x.as_tensor())
            return None if logits is None else MetaTensor(logits).copy_meta_from(x)
        if self.training:
            maps = native_training(self, octave_images(x, self.octaves))
            return None if maps is None else on_image_grid(maps, self.octaves)
        native = native_network(self, self.octaves, x)
        return None if native is None else native.logits(x)

    def _of_fitting_octaves(self, logits: torch.Tensor) -> torch.Tensor:
        if is_recorded():
            return logits
        fitting = self.fitting_heads(*logits.shape[-2:])
        return logits if len(fitting) == self.num_scales else logits[:, fitting]

    def head_octaves(self) -> list[int]:
        """See `Network`."""
        return [octave for _, octave, _ in self._members()]

    def fitting_heads(self, height: int, width: int) -> list[int]:
        """Return the indices of the heads whose octave is not too coarse for an image.

        An octave needs sides of at least twice its stride; the finest octave always fits.

        Raises:
            InputError: an octave does not fit in training.
        """
        octaves, small = self.head_octaves(), self.coarse_octaves(height, width)
        if not small:
            return list(range(len(octaves)))
        names = ", ".join(map(str, small))
        problem = f"an image of {height} x {width} pixels is too small for octave {names} (from 0) of the network"
        if self.training:
            raise InputError(f"{problem}; train on crops of {self.least_side()} pixels or more, or with fewer octaves")
        warnings.warn(f"{problem}; the others are run", stacklevel=2)
        return [head for head, octave in enumerate(octaves) if octave not in small]

    def coarse_octaves(self, height: int, width: int) -> list[int]:
        """See `Network`."""
        octaves, side = sorted(set(self.head_octaves())), min(height, width)
        return [octave for octave in octaves[1:] if LEAST_PIXELS * self.level_stride * 2**octave > side]

    def least_side(self) -> int:
        """See `Network`."""
        octaves = sorted(set(self.head_octaves()))
        return int(LEAST_PIXELS * self.level_stride * 2 ** octaves[-1]) if len(octaves) > 1 else 1

    def forward_with_scale(self, x: torch.Tensor, strategy: str = "p_ens") -> tuple[torch.Tensor, torch.Tensor]:
        """Return fused probabilities (B, N, H, W) with directions, and the winning scale group (B, 1, H, W)."""
        outputs = self.outputs(x)
        probabilities = outputs[:, :, : self.out_channels].softmax(dim=2)
        weights = group_weights(probabilities, strategy)
        winners = winning_scale(probabilities, strategy, weights)
        return fuse_outputs(outputs, self.out_channels, strategy, weights), winners

    def scale_layers(self) -> dict[str, nn.Module]:
        """See `Network`."""
        names = [f"encoder{n}" for n in range(len(self.encoder))] + [f"decoder{n}" for n in range(len(self.decoder))]
        stages = [*self.encoder, *self.decoder]
        return {
            f"{name}.{n}": block.conv
            for name, stage in zip(names, stages, strict=True)
            for n, block in enumerate(stage)
            if isinstance(block.conv, ScaleGroupConv)
        }

    def subset(self, groups: Sequence[int]) -> ScaleUNet:
        """Return a copy that computes only some scale groups: the same slice of the output at a fraction of the cost.

        Args:
            groups: different indices in [0, S).

        Raises:
            ValueError: an index is out of range or given twice, or there are none.
        """
        if not groups or len(set(groups)) != len(groups) or not all(0 <= k < self.num_scales for k in groups):
            raise ValueError(f"groups are {list(groups)}; give different indices from 0 to {self.num_scales - 1}")
        members = self._members()
        runs = joined_runs([members[k] for k in groups])
        first, *others = [net._reduced(octaves, groups_of_run) for net, octaves, groups_of_run in runs]
        first.others = nn.ModuleList(others).train(self.training)
        first.num_scales = len(groups)
        return first

    def _members(self) -> list[tuple[ScaleUNet, int, int]]:
        """Return the network that computes each head, its octave, and its group in the layers."""
        members = [(self, octave, k) for octave in self.octaves for k in range(self.scales_per_octave)]
        others = cast(Iterable[ScaleUNet], self.others)
        return members + [member for other in others for member in other._members()]

    def _reduced(self, octaves: list[int], groups: list[int]) -> ScaleUNet:
        """Return a copy that runs the given groups of its layers at the given octaves."""
        net = copy.copy(self)
        net._modules = {**self._modules, "others": nn.ModuleList().train(self.training)}
        net = copy.deepcopy(net)
        net.octaves, net.scales_per_octave, net.num_scales = octaves, len(groups), len(octaves) * len(groups)
        for module in net.modules():
            if isinstance(module, ScaleGroupConv | FoldedScaleConv2d | FoldedGroups | ScaleBatchNorm2d):
                module.subset(groups)
        return net


_WAYS_TO_LOGITS = ("heads", "outputs", "all_outputs", "logits", "full_logits")
