"""Another stain by the native library: one pass over an image in 8 bits."""

from __future__ import annotations

import ctypes

import torch

from monai_seunet.native import library as native
from monai_seunet.native.threads import is_readable, is_watched, kernel_threads

PART = 65536  # pixels of a task, as in `src/image_ops/stain_transfer.h`


def native_image(rgb: torch.Tensor) -> bool:
    """Whether the kernels read an image (3, ...)."""
    if is_watched() or rgb.dtype != torch.uint8 or not is_readable(rgb):
        return False
    return rgb.dim() > 1 and rgb.shape[0] == 3 and native.library() is not None


def native_transfer(
    rgb: torch.Tensor,
    levels: torch.Tensor,
    source: torch.Tensor,
    free: torch.Tensor,
    norms: torch.Tensor,
    mixing: torch.Tensor,
    overlap: float,
    penalty: float,
) -> torch.Tensor | None:
    """As `transfer_stains` of an image that `native_image` accepts; None where torch has to compute it.

    Args:
        rgb: (3, ...), uint8.
        levels: (256,) optical density of each value.
        source: (2, 3) stains of the image.
        free: (2, 2) map from the projections to the free minima, swapped.
        norms: of the stains, squared.
        mixing: (3, 2) map from the amounts of the stains to the densities of the result.
        overlap: inner product of the stains.
        penalty: see `concentrations`.
    """
    kernels = native.library()
    if kernels is None or float(norms.prod() - overlap**2) < 1e-6 * float(norms.prod()):  # parallel but for rounding
        return None
    stains = native.Stains(overlap=overlap, penalty=penalty)
    tables = {"density": levels, "matrix": source, "free": free, "norm": norms, "mixing": mixing}
    for name, values in tables.items():
        array = getattr(stains, name)
        array[:] = values.flatten().tolist()
    pixels = rgb.reshape(3, -1)  # no copy of an image whose channels lie beside each other
    image = native.Pixels(pixels.data_ptr(), *pixels.stride(), pixels.shape[1])
    found = torch.empty(rgb.shape, dtype=torch.uint8, device="cpu")
    threads = kernel_threads(tasks=pixels.shape[1] // PART + 1)
    kernels.seunet_transfer_stains(ctypes.byref(stains), ctypes.byref(image), found.data_ptr(), threads)
    return found
