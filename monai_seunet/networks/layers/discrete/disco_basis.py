r"""Bases of discrete scale convolutions: dilated deltas at integer scales, and a fit at other scales.

The filter at scale s is $\kappa_s = \sum_n w_n b_n(s)$. The filters commute with zoom if
$R(f * b_n(s_j)) = R(f) * b_n(s_i)$ for every image f and any two scales $s_i < s_j$, where R resizes an image by the
factor $s_i / s_j$. Dilated deltas have this property, except for the interpolation in R. At other scales, the pixels of
$b_n(s)$ are fitted: they minimise the sum of $\|R(f * b_n(s_j)) - R(f) * b_n(s_i)\|^2$ over random images f and all
pairs of scales. This is a linear least-squares problem, which is solved directly. The paper uses Adam instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import torch
from torch.nn import functional as F

from monai_seunet.utils.errors import InputError

TAPS = 9  # taps of the 3 x 3 weight
PIXELS, IMAGES = 96, 8  # images of the fit: tens of thousands of equations for at most some hundred unknowns

Maps = tuple[int, torch.Tensor]  # index of a scale, and the images shifted by every tap of its filter


def is_whole(scale: float) -> bool:
    """Return whether a scale is an integer, so its basis is dilated deltas."""
    return float(scale).is_integer()


def filter_radius(scale: float) -> int:
    """Return the radius in pixels of the 3 x 3 filter at `scale`."""
    return math.ceil(scale)


def dilated_deltas(scale: int) -> torch.Tensor:
    """Return deltas (9, taps, taps) float64 at the 9 taps of a 3 x 3 filter with the dilation `scale`."""
    taps = 2 * scale + 1
    deltas = torch.eye(taps**2, dtype=torch.float64).view(taps, taps, taps, taps)
    return deltas[::scale, ::scale].reshape(TAPS, taps, taps)


def check_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """Return the scales as a tuple.

    Raises:
        InputError: the scales do not rise from 1 or more, or no scale is an integer for the fit of the others.
    """
    numbers = tuple(float(scale) for scale in scales)
    if not numbers or numbers[0] < 1 or any(before >= after for before, after in pairwise(numbers)):
        raise InputError(f"scales are {list(scales)}; give numbers of 1 or more, rising")
    if not any(is_whole(scale) for scale in numbers):
        raise InputError(f"scales are {list(scales)}; at least one has to be whole, the others are fitted to it")
    return numbers


@lru_cache(maxsize=16)
def disco_basis(scales: tuple[float, ...], seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Return the basis of every scale, S tensors (9, taps, taps) float64.

    Args:
        scales: rising scales, at least one an integer (see `check_scales`).
        seed: seed of the random images.

    >>> [tuple(basis.shape) for basis in disco_basis((1.0, 2.0))]
    [(9, 3, 3), (9, 5, 5)]
    """
    fitted = [k for k, scale in enumerate(scales) if not is_whole(scale)]
    bases = {k: dilated_deltas(int(scale)) for k, scale in enumerate(scales) if k not in fitted}
    if not fitted:
        return tuple(bases[k] for k in range(len(scales)))
    starts, size = {}, 0
    for k in fitted:
        starts[k] = size
        size += (2 * filter_radius(scales[k]) + 1) ** 2
    normal = torch.zeros(size, size, dtype=torch.float64)
    target = torch.zeros(size, TAPS, dtype=torch.float64)
    for (i, fine), (j, coarse) in _commuting_maps(scales, random_images(seed)):
        equations = torch.zeros(len(fine), size, dtype=torch.float64)
        constant = torch.zeros(len(fine), TAPS, dtype=torch.float64)
        for k, maps, sign in ((j, coarse, 1.0), (i, fine, -1.0)):
            if k in bases:
                constant -= sign * maps @ bases[k].flatten(1).t()
            else:
                equations[:, starts[k] : starts[k] + maps.shape[1]] = sign * maps
        normal += equations.t() @ equations
        target += equations.t() @ constant
    pixels = torch.linalg.solve(normal, target).t()  # (9, unknown pixels)
    for k in fitted:
        taps = 2 * filter_radius(scales[k]) + 1
        bases[k] = pixels[:, starts[k] : starts[k] + taps**2].reshape(TAPS, taps, taps)
    return tuple(bases[k] for k in range(len(scales)))


def equivariance_objective(scales: Sequence[float], bases: Sequence[torch.Tensor], images: torch.Tensor) -> float:
    """Return the sum of squares of R(f * b(s_j)) - R(f) * b(s_i) over pairs of scales, images, pixels and functions.

    Args:
        scales: rising scales.
        bases: basis (9, taps, taps) of every scale, taps = 2 ceil(scale) + 1.
        images: images (n, 1, H, W) float64.
    """
    return sum(
        float((coarse @ bases[j].flatten(1).t() - fine @ bases[i].flatten(1).t()).square().sum())
        for (i, fine), (j, coarse) in _commuting_maps(scales, images)
    )


def random_images(seed: int) -> torch.Tensor:
    """Return white noise (n, 1, H, W) float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(IMAGES, 1, PIXELS, PIXELS, dtype=torch.float64, generator=generator)


def _commuting_maps(scales: Sequence[float], images: torch.Tensor) -> Iterator[tuple[Maps, Maps]]:
    """Yield the images shifted by every tap, for every pair of scales of which one or both are fitted.

    The pairs are (i, resize before shift) and (j, shift before resize), (pixels, taps^2) each, without the border.
    """
    for j in range(len(scales)):
        for i in range(j):
            if is_whole(scales[i]) and is_whole(scales[j]):
                continue
            ratio = scales[i] / scales[j]
            coarse = _resize(_shifts(images, filter_radius(scales[j])), ratio)
            fine = _shifts(_resize(images, ratio), filter_radius(scales[i]))
            crop = filter_radius(scales[j]) + 1
            yield (i, _rows(fine, crop)), (j, _rows(coarse, crop))


def _resize(images: torch.Tensor, ratio: float) -> torch.Tensor:
    """Shrink by bicubic interpolation without antialiasing, as in the paper."""
    return F.interpolate(images, scale_factor=ratio, mode="bicubic", align_corners=False)


def _shifts(images: torch.Tensor, radius: int) -> torch.Tensor:
    """Shift images (n, 1, H, W) by every tap of a filter to (n, taps^2, H, W), with circular padding."""
    taps = 2 * radius + 1
    padded = F.pad(images, [radius] * 4, mode="circular")
    return F.unfold(padded, taps).view(len(images), taps**2, *images.shape[2:])


def _rows(maps: torch.Tensor, crop: int) -> torch.Tensor:
    """Reshape (n, taps^2, H, W) to (n * pixels, taps^2), without a border."""
    return maps[..., crop:-crop, crop:-crop].movedim(1, -1).flatten(0, -2)
