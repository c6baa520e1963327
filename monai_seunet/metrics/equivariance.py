"""The equivariance error of the SEUNet paper (eqs. 10 and 12), which measures how well a network commutes with zoom."""

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
    r"""Return the relative squared distance of every pair of scale groups before and after a zoom of the image.

    $\Delta_{kk'} = \|S_s\Phi_k(f) - \Phi_{k'}(S_s f)\|^2 / \|S_s\Phi_k(f)\|^2$ with norms over classes and pixels; the
    two sizes determine the zoom $S_s$.
    Invariant: 0 for features that commute with the resampling; 1 for zoomed features of 0; independent of a common
    factor of both features.

    Args:
        features: last-layer outputs (S, N, H, W) of the image.
        zoomed_features: last-layer outputs (S, N, H', W') of the zoomed image.

    Returns:
        errors (S, S) float64; the row is group k of the image, the column is group k' of the zoomed image.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, eq. 12. (The authors' script
        does not square the norms; this function does, as in the paper.)

    >>> equivariance_error(torch.ones(1, 2, 4, 4), torch.ones(1, 2, 8, 8))
    tensor([[0.]], dtype=torch.float64)
    """
    resampled = resample(features.flatten(0, 1), zoomed_features.shape[-2:])  # (S * N, H', W')
    moved = resampled.reshape(len(features), -1).double()
    zoomed = zoomed_features.double().flatten(1)
    distance = torch.stack([(zoomed - group).square().sum(1) for group in moved])
    return distance / moved.square().sum(1, keepdim=True)


def paired_sizes(scale: float, largest: int, multiple: int = 16, image_size: int | None = None) -> tuple[int, int]:
    """Return the sides of a crop and of the zoomed crop, both multiples of `multiple`, so no network pads them.

    The ratio of the sides is as near to `scale` as possible among the crops whose larger side is at least half of the
    allowed one. With `largest = 512` and `multiple = 16`, the ratio is within 0.5 % of any scale between 1/4 and 4.

    Args:
        scale: zoom factor, above 0.
        largest: longest allowed side in pixels, which limits the memory.
        multiple: common divisor of both sides, the `level_stride` of a network. The stride of all octaves would make
            the ratio less exact, which matters more than the mirrored border of the octaves.
        image_size: shorter side of the image in pixels; None for no limit.

    Returns:
        side of the crop and side of the zoomed crop in pixels.

    Raises:
        ValueError: no crop fits.

    >>> paired_sizes(scale=0.5, largest=512)
    (512, 256)
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
    """Equivariance errors at every test scale.

    Attributes:
        scales: requested test scales.
        zooms: actual ratios of the crop sizes at these scales, mean over the images.
        matrices: errors (len(scales), S, S) by eq. 12, mean over the images; the row is the group of the image, the
            column is the group of the zoomed image.
        images: number of images.
    """

    scales: tuple[float, ...]
    zooms: tuple[float, ...]
    matrices: np.ndarray
    images: int

    @property
    def errors(self) -> np.ndarray:
        """Error (len(scales),) of the best matching pair of groups at each scale (eq. 10)."""
        return self.matrices.min((1, 2))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Best matching groups (image, zoomed image) at each scale, counted from 1."""
        best = self.matrices.reshape(len(self.matrices), -1).argmin(1)
        rows, columns = np.unravel_index(best, self.matrices.shape[1:])
        return [(int(row) + 1, int(column) + 1) for row, column in zip(rows, columns, strict=True)]

    @property
    def mean(self) -> float:
        """Mean error E_Err over all scales except 1, where the error is 0 by definition."""
        is_zoomed = np.abs(np.asarray(self.scales) - 1) > _SAME_SCALE
        return float(self.errors[is_zoomed].mean()) if is_zoomed.any() else 0.0

    @classmethod
    def joined(cls, parts: Sequence[EquivarianceErrors]) -> EquivarianceErrors:
        """Return the mean errors over the images of all parts, which have the same scales."""
        images = [part.images for part in parts]
        zooms = np.average([part.zooms for part in parts], axis=0, weights=images)
        matrices = np.average([part.matrices for part in parts], axis=0, weights=images)
        return cls(parts[0].scales, tuple(zooms.tolist()), matrices, sum(images))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
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
        """Restore the errors from the result of `to_dict`."""
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
    """Measure the equivariance error of a network's last layer on the centre crops of images.

    Limits: the zero padding at the border affects the crop and the zoomed crop differently; larger crops reduce this
    effect.

    Args:
        network: network with logits (B, S, N, H, W) or (B, N, H, W); its training mode is restored at the end.
        images: preprocessed images (C, H, W).
        scales: zoom factors.
        largest: longest allowed side of a crop in pixels.
        multiple: common divisor of the sides of the crops, so nothing is padded.
        device: device of the network.
        progress: whether to show a progress bar.

    Returns:
        errors of all pairs of groups at each scale, averaged over the images.
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
    """Return the errors (S, S) of the centre crop of (C, H, W) that is zoomed from side `crop` to side `zoomed`."""
    piece = centre(image, crop)
    return equivariance_error(_heads(network, piece), _heads(network, resample(piece, (zoomed, zoomed))))


def centre(image: torch.Tensor, side: int) -> torch.Tensor:
    """Return the square in the centre of (C, H, W)."""
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    return image[:, top : top + side, left : left + side]


def _heads(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Return the last-layer outputs (S, N, H, W) of one image (C, H, W)."""
    all_heads: Callable[[torch.Tensor], torch.Tensor] = getattr(network, "all_heads", network)
    output = all_heads(image.unsqueeze(0))[0]
    return output if output.dim() == 4 else output.unsqueeze(0)
