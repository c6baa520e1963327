"""Fuse the predictions of the scale groups, as post-processing of one image."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor

from monai_seunet.fusion import STRATEGIES, fuse, group_weights, winning_scale
from monai_seunet.utils.errors import InputError

BAND_PIXELS = 2**20


class FuseScales(Transform):
    """Combine the probabilities of all scale groups into one: (S, N, H, W) -> (N, H, W).

    Invariant: as `monai_seunet.fusion.fuse` on a batch of one; classes still sum to one.

    Args:
        strategy: one of `fusion.STRATEGIES`.

    Raises:
        InputError: for an unknown strategy.
        ValueError: for another number of axes.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.4.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (the name and type that MONAI reads)

    def __init__(self, strategy: str = "p_ens") -> None:
        if strategy not in STRATEGIES:
            raise InputError(f"fusion strategy is '{strategy}'; choose one of {', '.join(STRATEGIES)}")
        self.strategy = strategy

    def __call__(self, img: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Fused probabilities (N, H, W); `weights` are the `group_weights`, where they are known."""
        return _by_bands(fuse, img, self.strategy, weights)


class WinningScale(Transform):
    """The scale group that decided each pixel: (S, N, H, W) -> (1, H, W), uint8 in [0, S).

    Args:
        strategy: of the fusion, see `FuseScales`.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, strategy: str = "p_ens") -> None:
        self.strategy = strategy

    def __call__(self, img: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Index of the winning group, (1, H, W); `weights` are the `group_weights`, where they are known."""
        return _by_bands(winning_scale, img, self.strategy, weights, torch.uint8)


class FuseScalesd(MapTransform):
    """Dictionary form of `FuseScales`, with the scale map of `WinningScale` on request.

    Args:
        keys: items of shape (S, N, H, W), replaced by (N, H, W).
        strategy: see `FuseScales`.
        scale_key: where the winning group of each pixel goes, (1, H, W); None for nowhere. With several keys, the
            last one's.
        allow_missing_keys: skip keys that an item does not have.
    """

    backend = FuseScales.backend

    def __init__(
        self,
        keys: KeysCollection,
        strategy: str = "p_ens",
        scale_key: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.fuse = FuseScales(strategy)
        self.winner = WinningScale(strategy)
        self.scale_key = scale_key

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Fuse every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            weights = group_weights(_one_image(result[key])[None], self.fuse.strategy)
            if self.scale_key is not None:
                result[self.scale_key] = self.winner(result[key], weights)
            result[key] = self.fuse(result[key], weights)
        return result


def _one_image(img: torch.Tensor) -> torch.Tensor:
    """(S, N, H, W) without its meta data, which would slow every step down."""
    values = convert_to_tensor(img, track_meta=False)
    if values.dim() != 4:
        raise ValueError(f"fusion takes one image of shape (S, N, H, W), got {list(values.shape)}; decollate batches")
    return values


def _by_bands(
    function: Callable[[torch.Tensor, str, torch.Tensor | None], torch.Tensor],
    img: torch.Tensor,
    strategy: str,
    weights: torch.Tensor | None,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Apply `fuse` or `winning_scale` to bands of rows of (S, N, H, W).

    The intermediate results of a large image at once would take several times its memory.
    """
    values = _one_image(img)[None]
    known = group_weights(values, strategy) if weights is None else weights
    rows = max(1, BAND_PIXELS // values.shape[-1])
    parts = values.split(rows, dim=-2)
    of_parts = known.split(rows, dim=-2) if known is not None else [None] * len(parts)
    found = [function(part, strategy, weight)[0] for part, weight in zip(parts, of_parts, strict=True)]
    result = torch.cat(found, dim=1).to(dtype or values.dtype)
    if not isinstance(img, MetaTensor):
        return result
    return convert_to_dst_type(result, img, dtype=result.dtype)[0]


FuseScalesD = FuseScalesDict = FuseScalesd
