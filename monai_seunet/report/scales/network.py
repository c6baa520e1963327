"""Figures of one network from its report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monai_seunet.report.scales.calibration import draw_calibration
from monai_seunet.report.scales.equivariance import draw_error_matrices
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.sigmas import draw_sigmas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def network_figures(report: ScaleReport) -> Iterator[tuple[str, Figure]]:
    """Yield `sigmas.png`, `equivariance.png` and `calibration.png` with their figures, each if it has numbers."""
    if report.sigmas:
        title = f"{report.method}: σ by layer and scale group"
        yield "sigmas.png", draw_sigmas(report.sigmas, report.sigma_bounds, title)
    if report.equivariance is not None:
        title = f"{report.method}: equivariance error by zoom, E_Err {report.equivariance.mean:.3f}"
        yield "equivariance.png", draw_error_matrices(report.equivariance, title=title)
    if report.calibrations():
        yield "calibration.png", draw_calibration(report)
