"""U-Net that is equivariant to zoom, quarter turns and mirrors."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.networks.group_unet import GroupLayers
from monai_seunet.networks.layers.gaussian.roto_scale_conv import RotoScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import Bounds, level_bounds
from monai_seunet.networks.layers.rotation.point_group import point_group
from monai_seunet.networks.trained_scale_unet import TrainedScaleUNet
from monai_seunet.utils.errors import InputError


class RotoScaleUNet(TrainedScaleUNet):
    """SEUNet whose filters are also shared by the orientations of p4 or p4m.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per scale group; with `fusion`, probabilities
    (B, N, H, W). With `directions`, N + 2 channels. Any H and W.
    Invariant: the network commutes with quarter turns (and mirrors for p4m) exactly for even H and W, and with zoom
    like `SEUNet`. Directions turn as vectors with the image.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level over all scale groups and orientations.
        num_levels: number of resolutions, with the bottleneck.
        num_octaves: number of octaves of the image, see `SEUNet`.
        scales_per_octave: number of scale groups in an octave; S = num_octaves * scales_per_octave.
        group: `p4` or `p4m`.
        order: highest order of the derivatives.
        sigma_mode: `constrained`, `fixed` or `free`.
        sigma_ranges: ranges of sigma, see `SEUNet`.
        truncation: radius of the kernels in units of sigma.
        pooling: `max` or `average`, see `ScaleUNet`.
        group_pooling: `max` or `mean` over the orientations.
        fusion: one of `fusion.STRATEGIES` for one fused prediction; None for the logits of all groups.
        recompute: True for less memory and more time in training.
        sizes: treatment of images with an odd side, `pad` or `exact`, see `GroupUNet`.
        finest_octave: 0 for the image itself, -1 for the doubled image, see `ScaleUNet`.
        directions: True to predict the direction to the centre of the object, too, see `UNetSkeleton`.

    Raises:
        InputError: scale groups and orientations do not divide `width`, or an option is unknown.

    References:
        Scales: Yang et al., Scale-Equivariant UNet, 2023. Groups: Cohen & Welling, 2016. A related network: Yang et
        al., Rotation-Scale Equivariant Steerable Filters, MIDL 2023.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 120,
        num_levels: int = 5,
        num_octaves: int = 1,
        scales_per_octave: int = 5,
        group: str = "p4m",
        order: int = 1,
        sigma_mode: str = "constrained",
        sigma_ranges: str | Sequence[Bounds] = "geometric",
        truncation: float = 2.0,
        pooling: str = "average",
        group_pooling: str = "max",
        fusion: str | None = None,
        recompute: bool = False,
        sizes: str = "pad",
        finest_octave: int = 0,
        directions: bool = False,
    ) -> None:
        bounds = level_bounds(sigma_ranges, num_levels, scales_per_octave, num_octaves)
        num_scales = num_octaves * scales_per_octave
        symmetries, layers = point_group(group), GroupLayers(group)
        unit = max(1, num_scales) * symmetries.order
        if width % unit:
            nearest = max(1, round(width / unit)) * unit
            raise InputError(
                f"width {width} does not divide into {num_scales} scale groups of {symmetries.order} orientations; "
                f"the nearest is {nearest}"
            )

        def conv(inputs: int, outputs: int, level: int, lifting: bool) -> RotoScaleConv2d:
            return RotoScaleConv2d(
                inputs, outputs, bounds[level], group, order, sigma_mode, truncation, lifting, recompute
            )

        parts = {
            "norm": layers.norm,
            "pointwise": lambda i, o: layers.conv(i, o, kernel_size=1),
            "join": layers.join,
            "head": lambda i, o: layers.head(i, o, group_pooling),
            "direction_head": layers.direction_head,
        }
        options = {"order": order, "sigma_mode": sigma_mode, "truncation": truncation, "group_pooling": group_pooling}
        super().__init__(
            in_channels,
            out_channels,
            width,
            num_levels,
            scales_per_octave=scales_per_octave,
            conv=conv,
            pooling=pooling,
            shared_norm=True,
            fusion=fusion,
            options=options | {"group": symmetries.name},
            num_octaves=num_octaves,
            finest_octave=finest_octave,
            parts=parts,
            sizes=sizes,
            directions=directions,
        )
