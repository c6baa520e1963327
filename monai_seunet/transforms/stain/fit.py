"""Estimation of a stain profile from images: tissue colours, stain matrix and largest concentrations."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from monai_seunet.transforms.stain.extractors import StainExtractor, make_extractor, weighted_percentile
from monai_seunet.transforms.stain.functional import as_dtype, concentrations, optical_density, require_rgb, tissue_mask
from monai_seunet.transforms.stain.profile import MIN_ANGLE, MIN_CONCENTRATION, NoTissueError, StainProfile
from monai_seunet.utils.errors import InputError

MIN_TISSUE_PIXELS = 1000  # about one nucleus at 0.25 µm per pixel; fewer pixels do not determine two stains
BRIGHTEST = 99.9  # percentile of the intensities; a higher one depends on single pixels
LEVELS = np.arange(256) / 255


def fit_profile(
    images: Iterable[torch.Tensor],
    method: str | StainExtractor = "vahadane",
    penalty: float = 0.01,
    percentile: float = 99.0,
    origin: str = "",
) -> StainProfile:
    """Fit one stain profile to an image, or to all tiles of a slide.

    Tiles are streamed: only a histogram of the tissue colours is kept (`staintools` keeps every tissue pixel). Fit one
    profile for a slide, because profiles of single tiles change the colours from tile to tile.

    Args:
        images: RGB images (3, H, W) of any sizes, uint8 or float in [0, 1].
        method: `vahadane`, `macenko`, `staintools`, or an extractor.
        penalty: sparsity penalty of the concentrations, in the fit and in every use of the profile.
        percentile: percentile of the concentrations in the tissue that is stored as the largest concentration.
        origin: name of the images, stored in the profile.

    Raises:
        NoTissueError: the images do not show two stains.
        InputError: an image is not RGB.
    """
    extractor = make_extractor(method)
    histograms = torch.zeros(3, 256, dtype=torch.int64)
    density, counts = gather_tissue(_counted(images, histograms), extractor.bits)
    pixels = int(counts.sum())
    name = origin or "image"
    if pixels < MIN_TISSUE_PIXELS:
        raise NoTissueError(f"{name}: {pixels} pixels of tissue, a stain profile needs {MIN_TISSUE_PIXELS}")
    matrix = torch.from_numpy(extractor(density, counts))
    amount = concentrations(density, matrix, penalty).numpy()
    most = [weighted_percentile(stain, counts.numpy(), percentile) for stain in amount]
    # The chord approximates the angle, and is defined also for a row of zeros.
    if float(torch.linalg.vector_norm(matrix[0] - matrix[1])) < 0.0175 * MIN_ANGLE or min(most) <= MIN_CONCENTRATION:
        raise NoTissueError(f"{name}: the tissue has one colour, not two stains")
    stains = tuple(tuple(row) for row in matrix.tolist())
    return StainProfile(
        stains,
        tuple(most),
        method=extractor.name,
        penalty=penalty,
        percentile=percentile,
        tissue_pixels=pixels,
        origin=origin,
        brightest=tuple(weighted_percentile(LEVELS, of_channel, BRIGHTEST) for of_channel in histograms.numpy()),
    )


def cached_profile(
    image: torch.Tensor, folder: str | os.PathLike[str], method: str | StainExtractor = "vahadane", origin: str = ""
) -> StainProfile:
    """Return `fit_profile` of one image, from a cache folder if the same pixels were fitted by the same method before.

    Args:
        image: RGB image (3, H, W), uint8 or float in [0, 1].
        folder: cache folder with one JSON file for each image; it is created, and processes can share it.
        method: see `fit_profile`.
        origin: see `fit_profile`.
    """
    extractor = make_extractor(method)
    rgb = _levels(image)
    key = hashlib.sha256(f"{extractor!r} {list(rgb.shape)}".encode())
    key.update(rgb.numpy().data)
    path = Path(folder) / f"{key.hexdigest()[:32]}.json"
    if path.is_file():
        return StainProfile.load(path)
    profile = fit_profile([rgb], extractor, origin=origin)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: the folder for stain profiles cannot be made: {error.strerror}") from error
    profile.save(path)
    return profile


def gather_tissue(images: Iterable[torch.Tensor], bits: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Collect the tissue colours of images.

    Args:
        images: see `fit_profile`.
        bits: bits per channel of the colour histogram; None keeps every pixel.

    Returns:
        optical densities (3, P) and pixel counts (P,), float64. With a histogram, each density is the mean of the
        pixels in a cell, and cells whose centre is lighter than tissue are left out.
    """
    levels = (_levels(image).reshape(3, -1) for image in images)
    if bits is None:
        pixels = [rgb[:, tissue_mask(rgb)] for rgb in levels]
        density = optical_density(torch.cat([torch.empty(3, 0, dtype=torch.uint8), *pixels], dim=1).double() / 255)
        return density, torch.ones_like(density[0])
    cells = 1 << (3 * bits)
    counts, sums = torch.zeros(cells, dtype=torch.float64), torch.zeros(3, cells, dtype=torch.float64)
    for rgb in levels:
        red, green, blue = (rgb >> (8 - bits)).int()
        cell = (red << (2 * bits)) | (green << bits) | blue
        counts += torch.bincount(cell, minlength=cells)
        for total, channel in zip(sums, optical_density(rgb), strict=True):
            total += torch.bincount(cell, weights=channel.double(), minlength=cells)
    used = counts.nonzero().squeeze(1)
    step = 1 << (8 - bits)
    lowest = torch.stack([used >> (2 * bits), used >> bits, used]) % (1 << bits) * step
    used = used[tissue_mask((lowest.double() + (step - 1) / 2) / 255)]
    return sums[:, used] / counts[used], counts[used]


def _counted(images: Iterable[torch.Tensor], histograms: torch.Tensor) -> Iterator[torch.Tensor]:
    """Pass images on as (3, H, W) uint8, and add the numbers of their pixels of each level to histograms (3, 256)."""
    for image in images:
        rgb = _levels(image)
        histograms += torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in rgb])
        yield rgb


def _levels(image: torch.Tensor) -> torch.Tensor:
    """Convert an image to (3, H, W) uint8 on the CPU."""
    rgb = require_rgb(image).cpu()
    return (rgb if rgb.dtype == torch.uint8 else as_dtype(rgb, torch.uint8)).contiguous()
