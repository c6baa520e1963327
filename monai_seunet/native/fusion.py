"""Fusion of scale groups by the native library, where torch takes many passes over the maps."""

from __future__ import annotations

import torch

from monai_seunet.native.library import library
from monai_seunet.native.threads import is_plain, kernel_threads

STRATEGIES = ("arithmetic", "p_dist", "p_ens", "p_max", "p_power", "p_conf")  # in the order of `src/image_ops/fusion.h`
PART = 16384  # pixels of a task, as in `src/image_ops/fusion.h`


def native_fuse(
    probabilities: torch.Tensor, strategy: str, weights: torch.Tensor | None, winner: bool = False
) -> torch.Tensor | None:
    """As `fusion.fuse`, or as `fusion.winning_scale`; None where torch has to compute it.

    Args:
        probabilities: (B, S, N, ...)
        strategy: of the fusion.
        weights: (B, S, ...), see `fusion.fuse`.
        winner: the group that decides in place of the fused probabilities.
    """
    inputs = [probabilities] if weights is None else [probabilities, weights]
    if strategy not in STRATEGIES or not all(is_plain(x) and not _learns(x) for x in inputs):
        return None
    kernels = library()
    if kernels is None or probabilities.dim() < 3 or probabilities.shape[2] < 2:
        return None
    if weights is not None and weights.shape != probabilities[:, :, 0].shape:
        return None
    batch, groups, classes, *size = probabilities.shape
    probabilities = probabilities.contiguous()
    weights = None if weights is None else weights.contiguous()
    shape, dtype = ((batch, 1, *size), torch.int64) if winner else ((batch, classes, *size), torch.float32)
    found = torch.empty(shape, dtype=dtype, device="cpu")
    pixels = probabilities[0, 0, 0].numel()
    kernels.seunet_fuse(
        probabilities.data_ptr(),
        None if weights is None else weights.data_ptr(),
        batch,
        groups,
        classes,
        pixels,
        STRATEGIES.index(strategy),
        None if winner else found.data_ptr(),
        found.data_ptr() if winner else None,
        kernel_threads(tasks=batch * (pixels // PART + 1)),
    )
    return found


def native_confidence(background: torch.Tensor, nearby: int, prior: float, share: float) -> torch.Tensor | None:
    """As `fusion.confidence_nearby` of the background (B, S, H, W); None where torch has to compute it."""
    if background.dim() != 4 or not is_plain(background):
        return None
    kernels = library()
    if kernels is None:
        return None
    background = background.contiguous()
    height, width = background.shape[2:]
    maps = background.shape[0] * background.shape[1]
    threads = kernel_threads(tasks=maps)
    found = torch.empty_like(background)
    scratch = torch.empty(min(threads, maps), 4, width + 1, dtype=torch.float64, device="cpu")
    unknown = share * (2 * nearby + 1) ** 2
    sizes = (maps, height, width, min(nearby, max(height, width)))
    kernels.seunet_confidence(
        background.data_ptr(), *sizes, prior, unknown, found.data_ptr(), scratch.data_ptr(), threads
    )
    return found


def _learns(x: torch.Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad
