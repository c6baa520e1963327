"""Reports made of known numbers, so figures and tables can be checked without a network."""

from collections.abc import Callable

import numpy as np
import pytest

from monai_seunet.drawing.panels import ScalePanels
from monai_seunet.metrics import EquivarianceErrors, ScaleScores
from monai_seunet.metrics.scale_scores import predictor_names
from monai_seunet.report.scales.report import ScaleReport


def _report(method: str = "SEUNet", heads: int = 5, seed: int = 0, lift: float = 0.0) -> ScaleReport:
    """Head k is best at scale 2^(k - 3); fused predictions lie a little above the best head."""
    rng = np.random.default_rng(seed)
    octaves = np.arange(-8, 9) / 4
    tops = np.linspace(-1, 1, heads) if heads > 1 else np.zeros(1)
    quality = 0.65 * np.exp(-((octaves[:, None] - tops) ** 2) / 2) + lift + 0.01 * rng.random((17, heads))
    fused = [quality.max(1) + offset for offset in ((0.01, 0.0, 0.02, 0.015, 0.012, 0.013) if heads > 1 else ())]
    iou = np.column_stack([quality, *fused])
    hits = np.round(1e6 * iou)
    misses = 1e6 - hits
    confusion = np.stack([np.stack([5e6 - 0 * hits, 0 * hits], -1), np.stack([misses, hits], -1)], -2).astype(np.int64)
    scores = ScaleScores(tuple(2.0**octaves), predictor_names(heads), confusion, iou, images=6)
    matrices = np.abs(np.subtract.outer(np.arange(heads), np.arange(heads)) + 2 * octaves[:, None, None]) * 0.2 + 0.02
    errors = EquivarianceErrors(tuple(2.0**octaves), tuple(2.0**octaves), matrices, 6)
    layers = [f"encoder{level}.{n}" for level in range(5) for n in range(2)]
    sigmas = {name: [0.25 + 0.5 * (k + place // 2 * 0.5) for k in range(heads)] for place, name in enumerate(layers)}
    bounds = {name: [[s - 0.25, s + 0.25] for s in values] for name, values in sigmas.items()}
    return ScaleReport(
        method=method,
        scores=scores,
        classes=("background", "nucleus"),
        data="monuseg",
        section="validation",
        parameters=367_000,
        equivariance=errors,
        sigmas=sigmas if heads > 1 else {},
        sigma_bounds=bounds if heads > 1 else {},
    )


@pytest.fixture
def seunet_report() -> ScaleReport:
    return _report()


@pytest.fixture
def plain_report() -> ScaleReport:
    return _report("PlainUNet", heads=1, lift=-0.05)


@pytest.fixture
def build_report() -> Callable[..., ScaleReport]:
    return _report


def _panels(score: float = 0.5) -> ScalePanels:
    labels = np.array([[[0, 0], [1, 1]]] * 2)
    guesses = np.array([[[0, 1], [0, 1]]] * 2)
    return ScalePanels(
        scales=(0.5, 1.0),
        images=np.full((2, 2, 2, 3), 200, dtype=np.uint8),
        labels=labels,
        predictions=guesses,
        winners=np.array([[[0, 1], [2, 2]]] * 2),
        scores=(0.4, score),
        num_heads=3,
        classes=("background", "nucleus"),
    )


@pytest.fixture
def small_panels() -> Callable[..., ScalePanels]:
    return _panels
