"""Fuse the predictions of the scale groups, as post-processing of one image."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor

from monai_seunet.errors import InputError
from monai_seunet.fusion import STRATEGIES, fuse, reach, winning_scale

BAND_PIXELS = 2**20


class FuseScales(Transform):
    """Combine the probabilities of all scale groups into one: (S, N, H, W) -> (N, H, W).

    Law: as `monai_seunet.fusion.fuse` on a batch of one; classes still sum to one.

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

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Fused probabilities (N, H, W)."""
        return _by_bands(lambda groups: fuse(groups, self.strategy), img, reach(self.strategy))


class WinningScale(Transform):
    """The scale group that decided each pixel: (S, N, H, W) -> (1, H, W), uint8 in [0, S).

    Args:
        strategy: of the fusion, see `FuseScales`.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, strategy: str = "p_ens") -> None:
        self.strategy = strategy

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Index of the winning group, (1, H, W)."""
        return _by_bands(lambda groups: winning_scale(groups, self.strategy).to(torch.uint8), img, reach(self.strategy))


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
            if self.scale_key is not None:
                result[self.scale_key] = self.winner(result[key])
            result[key] = self.fuse(result[key])
        return result


def _by_bands(function: Callable[[torch.Tensor], torch.Tensor], img: torch.Tensor, around: int) -> torch.Tensor:
    """Apply a function that sees `around` rows more, (1, S, N, h, W) -> (1, M, h, W), to bands of (S, N, H, W).

    The intermediate results of a large image at once would take several times its memory.
    """
    values = convert_to_tensor(img, track_meta=False)  # meta data would slow every step down
    if values.dim() != 4:
        raise ValueError(f"fusion takes one image of shape (S, N, H, W), got {list(values.shape)}; decollate batches")
    height, step = values.shape[2], max(1, BAND_PIXELS // values.shape[3])
    parts = []
    for top in range(0, height, step):
        first, last = max(0, top - around), min(height, top + step + around)
        found = function(values[None, :, :, first:last])[0]
        parts.append(found[:, top - first : min(height, top + step) - first])
    result = torch.cat(parts, dim=1)
    if not isinstance(img, MetaTensor):
        return result
    return convert_to_dst_type(result, img, dtype=result.dtype)[0]


FuseScalesD = FuseScalesDict = FuseScalesd
