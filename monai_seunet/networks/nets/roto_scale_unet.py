"""The U-Net that is equivariant to zoom, quarter turns and mirrors at once."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.networks.group_unet import GroupLayers
from monai_seunet.networks.layers.gaussian.roto_scale_conv import RotoScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import Bounds, level_bounds
from monai_seunet.networks.layers.rotation.point_group import point_group
from monai_seunet.networks.trained_scale_unet import TrainedScaleUNet
from monai_seunet.utils.errors import InputError


class RotoScaleUNet(TrainedScaleUNet):
    """SEUNet whose filters are shared by the orientations of p4 or p4m, too, at the cost of a structured mix.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per scale group; with `fusion`, probabilities
    (B, N, H, W). With `directions`, N + 2 channels. Any H and W.
    Invariant: commutes with quarter turns (and mirrors, for p4m) exactly, where H and W are even; with zoom as
    `SEUNet`. The directions turn with the image, as vectors.

    Args:
        in_channels: channels of the image.
        out_channels: classes N.
        width: channels of the finest level over all scale groups and orientations.
        num_levels: resolutions.
        num_octaves: octaves of the image, see `SEUNet`.
        scales_per_octave: scale groups at every octave.
        group: `p4` or `p4m`.
        order: highest order of derivative.
        sigma_mode: `constrained`, `fixed` or `free`.
        sigma_ranges: see `SEUNet`.
        truncation: radius of the kernels in units of sigma.
        pooling: `max` or `average`.
        group_pooling: `max` or `mean` over the orientations.
        fusion: see `SEUNet`.
        recompute: less memory in training for more time.
        sizes: what becomes of images with an odd side, `pad` or `exact`.
        finest_octave: 0 for the image itself, -1 for the doubled image, see `SEUNet`.
        directions: predict the direction to the centre of the object, too, see `UNetSkeleton`.

    Raises:
        InputError: where scale groups and orientations do not divide `width`, or for an unknown option.

    References:
        The scale side: Yang et al., Scale-Equivariant UNet, 2023; the group side: Cohen & Welling, 2016. The nearest
        published relative: Yang et al., Rotation-Scale Equivariant Steerable Filters, MIDL 2023.
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
