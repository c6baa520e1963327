"""How far a network is from commuting with zoom: the equivariance error of the SEUNet paper (eqs. 10 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.networks.utils import eval_mode
from monai.utils import convert_to_tensor
from torch import nn

from monai_seunet.transforms.spatial.functional import resample
from monai_seunet.utils.progress import progress_bar

_SAME_SCALE = 1e-6


def equivariance_error(features: torch.Tensor, zoomed_features: torch.Tensor) -> torch.Tensor:
    r"""Relative squared distance of every pair of scale groups, before and after a zoom of the image.

    $\Delta_{kk'} = \|S_s\Phi_k(f) - \Phi_{k'}(S_s f)\|^2 / \|S_s\Phi_k(f)\|^2$, norms over classes and pixels; the zoom
    $S_s$ is read from the sizes.
    Invariant: 0 for features that commute with the resampling; 1 for zoomed features that are zero; unchanged where
    both features are multiplied by the same number.

    Args:
        features: last-layer outputs of the image (S, N, H, W).
        zoomed_features: last-layer outputs of the zoomed image (S, N, H', W').

    Returns:
        (S, S) float64; row: group k of the image, column: group k' of the zoomed image.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, eq. 12. (The authors' script
        takes norms that are not squared; here they are, as printed.)
    """
    resampled = resample(features.flatten(0, 1), zoomed_features.shape[-2:])  # (S * N, H', W')
    moved = resampled.reshape(len(features), -1).double()
    zoomed = zoomed_features.double().flatten(1)
    distance = torch.stack([(zoomed - group).square().sum(1) for group in moved])
    return distance / moved.square().sum(1, keepdim=True)


def paired_sizes(scale: float, largest: int, multiple: int = 16, image_size: int | None = None) -> tuple[int, int]:
    """Side of a crop, and of the zoomed crop, that are both multiples of `multiple`, so that no network pads them.

    The sizes realise the zoom as a ratio of whole numbers: as near to `scale` as possible, among the crops whose larger
    side is at least half of what is allowed. With `largest = 512` and `multiple = 16` the ratio is within 0.5 % of any
    scale between 1/4 and 4.

    Args:
        scale: zoom, above 0.
        largest: no side is longer than this, in pixels, which bounds the memory.
        multiple: what both sides are multiples of; `level_stride` of a network. With the stride
            of all octaves the ratio would be farther from the zoom; what they mirror at the border matters less.
        image_size: shorter side of the image that the crop is taken from; None for no limit.

    Returns:
        (side of the crop, side of the zoomed crop), in pixels.

    Raises:
        ValueError: where no crop fits.
    """
    sides = largest // multiple
    crops = min(sides, sides if image_size is None else image_size // multiple)
    pairs = [(crop, round(crop * scale)) for crop in range(1, crops + 1)]
    pairs = [(crop, zoomed) for crop, zoomed in pairs if 1 <= zoomed <= sides]
    if not pairs:
        raise ValueError(
            f"no crop of at most {largest} pixels, a multiple of {multiple}, fits an image of {image_size} pixels at "
            f"scale {scale:g}; allow a larger crop"
        )
    longest = max(max(pair) for pair in pairs)
    large = [pair for pair in pairs if 2 * max(pair) >= longest]
    crop, zoomed = min(large, key=lambda pair: (round(abs(np.log(pair[1] / pair[0] / scale)), 4), -pair[0]))
    return crop * multiple, zoomed * multiple


@dataclass(frozen=True)
class EquivarianceErrors:
    """Equivariance error at every test scale.

    Attributes:
        scales: the test scales that were asked for.
        zooms: the ratios of whole crop sizes that stand for them, mean over the images.
        matrices: (len(scales), S, S), eq. 12: mean over the images; row: group of the image, column: of the zoomed.
        images: number of images.
    """

    scales: tuple[float, ...]
    zooms: tuple[float, ...]
    matrices: np.ndarray
    images: int

    @property
    def errors(self) -> np.ndarray:
        """Error of the best matching pair of groups at each scale (eq. 10), (len(scales),)."""
        return self.matrices.min((1, 2))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The best matching groups (of the image, of the zoomed image) at each scale, counted from 1."""
        best = self.matrices.reshape(len(self.matrices), -1).argmin(1)
        rows, columns = np.unravel_index(best, self.matrices.shape[1:])
        return [(int(row) + 1, int(column) + 1) for row, column in zip(rows, columns, strict=True)]

    @property
    def mean(self) -> float:
        """E_Err: mean error over the scales other than 1, where it is 0 by definition."""
        moved = np.abs(np.asarray(self.scales) - 1) > _SAME_SCALE
        return float(self.errors[moved].mean()) if moved.any() else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {
            "mean": self.mean,
            "scales": list(self.scales),
            "zooms": list(self.zooms),
            "errors": self.errors.tolist(),
            "pairs": [list(pair) for pair in self.pairs],
            "matrices": self.matrices.tolist(),
            "images": self.images,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EquivarianceErrors:
        """Rebuild the errors from what `to_dict` gave."""
        matrices = np.asarray(values["matrices"], dtype=np.float64)
        return cls(tuple(values["scales"]), tuple(values["zooms"]), matrices, int(values["images"]))


def measure_equivariance(
    network: nn.Module,
    images: Iterable[torch.Tensor],
    scales: Sequence[float],
    largest: int = 512,
    multiple: int = 16,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> EquivarianceErrors:
    """Measure the equivariance error of a network's last layer on the centre crops of some images.

    Limits: crop and zoomed crop see the same piece of the world, but zero padding at their borders weighs differently;
    larger crops make that part smaller.

    Args:
        network: gives logits (B, S, N, H, W) or (B, N, H, W); evaluated in eval mode and left in the mode it had.
        images: preprocessed images (C, H, W).
        scales: zooms.
        largest: no crop, zoomed or not, is longer than this, in pixels.
        multiple: sides of the crops are multiples of this, so that nothing is padded.
        device: where the network is.
        progress: whether to show a progress bar.

    Returns:
        One S x S matrix per scale, averaged over the images.
    """
    zooms, matrices = [], []
    with eval_mode(network):
        for image in progress_bar(images, desc="equivariance error", unit="image", disable=not progress):
            plain = convert_to_tensor(image, dtype=torch.float32, device=device, track_meta=False)
            sides = [paired_sizes(scale, largest, multiple, min(plain.shape[-2:])) for scale in scales]
            zooms.append([zoomed / crop for crop, zoomed in sides])
            matrices.append(torch.stack([_zoom_error(network, plain, *pair) for pair in sides]).cpu())
    if not matrices:
        raise ValueError("the equivariance error needs at least one image")
    mean_zooms = np.mean(zooms, axis=0).tolist()
    return EquivarianceErrors(tuple(scales), tuple(mean_zooms), torch.stack(matrices).mean(0).numpy(), len(matrices))


def _zoom_error(network: nn.Module, image: torch.Tensor, crop: int, zoomed: int) -> torch.Tensor:
    """Errors (S, S) of the centre crop of (C, H, W), zoomed from side `crop` to side `zoomed`."""
    piece = _centre(image, crop)
    return equivariance_error(_heads(network, piece), _heads(network, resample(piece, (zoomed, zoomed))))


def _centre(image: torch.Tensor, side: int) -> torch.Tensor:
    """Square in the middle of (C, H, W)."""
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    return image[:, top : top + side, left : left + side]


def _heads(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Last-layer outputs (S, N, H, W) of one image (C, H, W)."""
    all_heads: Callable[[torch.Tensor], torch.Tensor] = getattr(network, "all_heads", network)
    output = all_heads(image.unsqueeze(0))[0]
    return output if output.dim() == 4 else output.unsqueeze(0)
