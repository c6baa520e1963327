"""Methods that estimate the colours of the two stains from the colours of the tissue."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar, Protocol

import numpy as np
import torch

from monai_seunet.transforms.stain.functional import as_dtype, concentrations
from monai_seunet.transforms.stain.profile import NoTissueError
from monai_seunet.utils.errors import InputError

# Initial values of the iteration: the stains of Ruifrok and Johnston (2001). The result does not depend on them.
TYPICAL_STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11))


class StainExtractor(Protocol):
    """Protocol of methods that estimate a stain matrix from tissue colours.

    Attributes:
        name: name of the method in profiles.
        bits: bits per channel of the colour histogram; None if the method needs every pixel.
    """

    name: ClassVar[str]
    bits: ClassVar[int | None]

    def __call__(self, density: torch.Tensor, counts: torch.Tensor) -> np.ndarray:
        """Estimate the stain matrix.

        Args:
            density: optical densities (3, P) of the tissue colours, float64.
            counts: numbers of pixels (P,) of these colours, float64.

        Returns:
            stain matrix (2, 3), non-negative, rows of length 1, haematoxylin first. Two nearly equal rows mean that the
            tissue has only one stain.
        """


@dataclass(frozen=True)
class Vahadane:
    """Sparse non-negative factorisation of the optical density, full-batch on a colour histogram.

    It minimises Σ n·(½‖d − Wᵀh‖² + penalty·(h₁ + h₂)) over h ≥ 0 and W ≥ 0 with rows of at most unit length. Each
    iteration solves h in closed form, then each row of W in closed form. The method is deterministic.

    Args:
        penalty: weight of the sum of the concentrations.
        tolerance: largest change of an entry of W at which the iteration stops.
        max_iterations: largest number of iterations; H&E needs about a hundred.

    References:
        Vahadane et al., Structure-Preserving Color Normalization and Sparse Stain Separation for Histological Images,
        2016; the update of W is algorithm 2 of Mairal et al., Online Learning for Matrix Factorization and Sparse
        Coding, 2010.
    """

    name: ClassVar[str] = "vahadane"
    bits: ClassVar[int | None] = 6

    penalty: float = 0.1
    tolerance: float = 1e-7
    max_iterations: int = 2000

    def __call__(self, density: torch.Tensor, counts: torch.Tensor) -> np.ndarray:
        """See `StainExtractor`."""
        share = counts / counts.sum()
        matrix = _unit_rows(np.array(TYPICAL_STAINS))
        for _ in range(self.max_iterations):
            amount = concentrations(density, torch.from_numpy(matrix), self.penalty)  # (2, P)
            weighted = amount * share
            before = matrix
            matrix = _update_stains(matrix, (weighted @ amount.T).numpy(), (weighted @ density.T).numpy())
            if abs(matrix - before).max() < self.tolerance:
                break
        return _haematoxylin_first(_unit_rows(matrix))


@dataclass(frozen=True)
class Macenko:
    """Extreme directions in the plane of the two largest principal axes of the optical density.

    Args:
        percentile: percentile of the angles of the tissue pixels that counts as extreme.

    References:
        Macenko et al., A method for normalizing histology slides for quantitative analysis, 2009.
    """

    name: ClassVar[str] = "macenko"
    bits: ClassVar[int | None] = 6

    percentile: float = 99.0

    def __call__(self, density: torch.Tensor, counts: torch.Tensor) -> np.ndarray:
        """See `StainExtractor`."""
        colours, weights = density.numpy(), counts.numpy()
        covariance = np.cov(colours, fweights=weights.astype(np.int64))
        plane = np.linalg.eigh(covariance)[1][:, [2, 1]]  # (3, 2), the largest axis first
        plane = np.where(plane[0] < 0, -plane, plane)
        along, across = plane.T @ colours
        angles = np.arctan2(across, along)
        extremes = [weighted_percentile(angles, weights, q) for q in (100 - self.percentile, self.percentile)]
        stains = np.stack([plane @ (np.cos(angle), np.sin(angle)) for angle in extremes])
        return _haematoxylin_first(_unit_rows(np.maximum(stains, 0)))


@dataclass(frozen=True)
class StainToolsExtractor:
    """Vahadane's factorisation by staintools and spams on every tissue pixel, as a reference.

    The tissue mask, the optical density and the settings are those of staintools. staintools limits the time to one
    second, so its results vary. This class limits the number of batches instead. It uses one thread and one call
    at a time, because spams deadlocks with several threads in forked workers. staintools also stops some degrees before
    the minimum after a poor initialisation or with batches of neighbouring pixels. This class shuffles the pixels with
    a fixed seed, and restarts from the last result to discard the statistics of earlier batches.

    Args:
        penalty: weight of the sum of the concentrations.
        rounds: number of restarts.
        iterations: number of batches in a round.
        batch_size: number of pixels in a batch.

    Raises:
        InputError: staintools or spams is not installed.

    References:
        https://github.com/Peter554/StainTools, stain_extraction/vahadane_stain_extractor.py, version 2.1.2.
    """

    name: ClassVar[str] = "staintools"
    bits: ClassVar[int | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    penalty: float = 0.1
    rounds: int = 10
    iterations: int = 100
    batch_size: int = 4096

    def __call__(self, density: torch.Tensor, counts: torch.Tensor) -> np.ndarray:
        """See `StainExtractor`."""
        settings = {"K": 2, "lambda1": self.penalty, "mode": 2, "modeD": 0, "posAlpha": True, "posD": True}
        effort = {"iter": self.iterations, "batchsize": self.batch_size, "numThreads": 1, "verbose": False}
        with self._lock:
            spams, staintools = _import_reference()
            # staintools writes into its argument, so it receives a copy.
            pixels = as_dtype(torch.exp(-density), torch.uint8).T.repeat_interleave(counts.long(), dim=0)
            image = pixels.unsqueeze(1).numpy()  # (P, 1, 3)
            try:
                mask = staintools.tissue_masks.luminosity_threshold_tissue_locator.LuminosityThresholdTissueLocator
                tissue = mask.get_tissue_mask(image).ravel()
            except staintools.miscellaneous.exceptions.TissueMaskException as error:
                raise NoTissueError("staintools finds no tissue") from error
            colours = staintools.miscellaneous.optical_density_conversion.convert_RGB_to_OD(image)[tissue, 0]
            data = np.asfortranarray(np.random.default_rng(0).permutation(colours).T)
            learnt = None
            threads = torch.get_num_threads()
            for _ in range(self.rounds):
                learnt = spams.trainDL(data, D=learnt, **settings, **effort)
            torch.set_num_threads(threads)  # spams shares OpenMP with torch and sets it to one thread
        return _haematoxylin_first(_unit_rows(np.array(learnt).T))


def _import_reference() -> tuple[ModuleType, ModuleType]:
    """Import the optional packages spams (GPL) and staintools."""
    try:
        import spams
        import staintools
    except ImportError as error:
        raise InputError(
            f"stain method 'staintools' cannot be used ({error}); run "
            "'pip install staintools==2.1.2 spams-bin==2.6.14', or choose the method 'vahadane'"
        ) from error
    return spams, staintools


EXTRACTORS: dict[str, type[Vahadane] | type[Macenko] | type[StainToolsExtractor]] = {
    extractor.name: extractor for extractor in (Vahadane, Macenko, StainToolsExtractor)
}


def make_extractor(method: str | StainExtractor) -> StainExtractor:
    """Return the extractor of a name with its defaults; an extractor is returned unchanged."""
    if not isinstance(method, str):
        return method
    if method not in EXTRACTORS:
        hint = "; for Reinhard's method use the transform ReinhardNormalize" if method == "reinhard" else ""
        raise InputError(f"stain method is '{method}'; choose one of {', '.join(EXTRACTORS)}{hint}")
    return EXTRACTORS[method]()


def weighted_percentile(values: np.ndarray, weights: np.ndarray, percent: float) -> float:
    """Return the smallest value at or below which at least `percent` of the weight lies."""
    order = np.argsort(values)
    covered = np.cumsum(weights[order])
    rank = np.searchsorted(covered, percent / 100 * covered[-1])
    return float(values[order[min(rank, len(values) - 1)]])


def _update_stains(matrix: np.ndarray, gram: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Update one row of W after the other to its non-negative optimum in the unit ball for fixed concentrations."""
    updated = matrix.copy()
    for stain in (0, 1):
        if gram[stain, stain] > 1e-12:  # a stain that no colour uses is not updated
            row = updated[stain] + (moment[stain] - gram[stain] @ updated) / gram[stain, stain]
            row = np.maximum(row, 0)
            updated[stain] = row / max(float(np.linalg.norm(row)), 1.0)
    return updated


def _unit_rows(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True).clip(min=1e-12)


def _haematoxylin_first(matrix: np.ndarray) -> np.ndarray:
    """Sort the rows: haematoxylin is blue and absorbs more red than eosin."""
    return matrix if matrix[0, 0] >= matrix[1, 0] else matrix[::-1].copy()
