"""Fusion of the predictions of the scale groups, as post-processing of one image."""

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

    Invariant: the result equals `monai_seunet.fusion.fuse` on a batch of one; classes still sum to one.

    Args:
        strategy: one of `fusion.STRATEGIES`.

    Raises:
        InputError: the strategy is unknown.
        ValueError: the image does not have four axes.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.4.

    >>> FuseScales("p_max")(torch.tensor([[0.9, 0.1], [0.4, 0.6]])[..., None, None]).flatten()
    tensor([0.4000, 0.6000])
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI defines the name and type)

    def __init__(self, strategy: str = "p_ens") -> None:
        if strategy not in STRATEGIES:
            raise InputError(f"fusion strategy is '{strategy}'; choose one of {', '.join(STRATEGIES)}")
        self.strategy = strategy

    def __call__(self, img: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return fused probabilities (N, H, W); `weights` are the `group_weights`, None computes them."""
        return _by_bands(fuse, img, self.strategy, weights)


class WinningScale(Transform):
    """Return the scale group that determined each pixel: (S, N, H, W) -> (1, H, W), uint8 in [0, S).

    Args:
        strategy: strategy of the fusion, see `FuseScales`.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, strategy: str = "p_ens") -> None:
        self.strategy = strategy

    def __call__(self, img: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the index of the winning group (1, H, W); `weights` are the `group_weights`, None computes them."""
        return _by_bands(winning_scale, img, self.strategy, weights, torch.uint8)


class FuseScalesd(MapTransform):
    """Dictionary form of `FuseScales`, which replaces predictions (S, N, H, W) by (N, H, W).

    `scale_key` is the key for the scale map (1, H, W) of the last prediction; None computes no map.
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
    """Return (S, N, H, W) without its meta data, which slows down every operation."""
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
    """Apply `fuse` or `winning_scale` to bands of rows of (S, N, H, W), to limit the memory of large images."""
    values = _one_image(img)[None]
    all_weights = group_weights(values, strategy) if weights is None else weights
    rows = max(1, BAND_PIXELS // values.shape[-1])
    bands = values.split(rows, dim=-2)
    band_weights = all_weights.split(rows, dim=-2) if all_weights is not None else [None] * len(bands)
    results = [function(band, strategy, weight)[0] for band, weight in zip(bands, band_weights, strict=True)]
    result = torch.cat(results, dim=1).to(dtype or values.dtype)
    if not isinstance(img, MetaTensor):
        return result
    return convert_to_dst_type(result, img, dtype=result.dtype)[0]


FuseScalesD = FuseScalesDict = FuseScalesd
