"""Handler that writes the report of an evaluation over scales."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from monai.engines import Workflow

from monai_seunet.drawing.panels import draw_panels
from monai_seunet.drawing.table import long_csv
from monai_seunet.evaluation.report_handler import ReportHandler
from monai_seunet.networks.unet.base import Network
from monai_seunet.report.files import save_figure, write_tables
from monai_seunet.report.scales.calibration import calibration_table, calibration_text
from monai_seunet.report.scales.curves import draw_heads
from monai_seunet.report.scales.filters import draw_filters, strongest_filters
from monai_seunet.report.scales.network import network_figures
from monai_seunet.report.scales.objects import draw_objects, object_table
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import scale_table
from monai_seunet.utils.files import write_text

logger = logging.getLogger(__name__)

OBJECTS_METRIC = "objects_over_scales"


class ScaleReportHandler(ReportHandler):
    """Handler that writes scores, tables and figures of an evaluation over scales.

    For the arguments see `ReportHandler`. The key is `scale_report` and the metric a `MultiScaleScore`. The report
    includes `engine.state.equivariance`, `engine.state.scale_panels` and the metric `objects_over_scales`
    (`MultiScaleObjects`) if they exist; attach this handler after the handlers that make them.
    """

    report_key = "scale_report"
    default_metric = "mean_score_over_scales"
    optional = (
        *("sigmas.png", "filters.png", "equivariance.png", "panels.npz", "panels.png"),
        *("objects.md", "objects.csv", "objects.png", "calibration.md", "calibration.csv", "calibration.png"),
    )

    def report(self, engine: Workflow) -> ScaleReport:
        """Make the report."""
        sigmas, bounds = sigma_values(self.network)
        errors = getattr(engine.state, "equivariance", None)
        objects = engine.state.metric_details.get(OBJECTS_METRIC)
        if objects is not None and not objects.counts.shape[1]:
            logger.warning("%s: single objects are not labelled and are not scored", self.dataset.name)
            objects = None
        own = {"equivariance": errors, "objects": objects, "sigmas": sigmas, "sigma_bounds": bounds}
        return ScaleReport(**self.common(engine), **own)

    def write(self, report: ScaleReport, engine: Workflow) -> list[Path]:
        """Write tables and figures."""
        folder = self.output_dir
        files = [
            *write_tables({"table": scale_table(report)}, folder),
            write_text(folder / "scores.csv", long_csv(report.rows())),
            save_figure(draw_heads(report), folder / "scales.png"),
            *(save_figure(figure, folder / name) for name, figure in network_figures(report)),
        ]
        scale_layers: Any = getattr(self.network, "scale_layers", None)
        if report.sigmas and scale_layers is not None:
            layer, convolution = next(iter(scale_layers().items()))
            banks = convolution.dense_filters()
            sigmas = report.sigmas[layer]
            shared = ", the same at every octave" if len(sigmas) > len(banks) else ""
            title = f"{self.method}: filters of {layer}{shared}"
            figure = draw_filters(strongest_filters(banks), sigmas[: len(banks)], title)
            files.append(save_figure(figure, folder / "filters.png"))
        if report.objects is not None:
            title = f"{self.method}: single {self.dataset.classes[1]}"
            files += write_tables({"objects": object_table(report.objects)}, folder)
            files.append(save_figure(draw_objects(report.objects, title), folder / "objects.png"))
        if report.calibrations():
            files += write_tables({"calibration": calibration_table(report)}, folder)
        panels = getattr(engine.state, "scale_panels", None)
        if panels is not None:
            title = f"{self.method}: one field across scales, with the whole image's {report.score_name} (%)"
            files.append(panels.save(folder / "panels.npz"))
            files.append(save_figure(draw_panels(panels, title), folder / "panels.png"))
        return files

    def log(self, report: ScaleReport) -> None:
        """Log the results."""
        table = scale_table(report).to_text()
        part = ", ".join(filter(None, (self.section, self.region)))
        logger.info("%s of %s on %s (%s), %%\n%s", report.score_name, self.method, report.data, part, table)
        if report.objects is not None:
            logger.info("objects, %%\n%s", object_table(report.objects).to_text())
        if report.calibrations():
            logger.info("calibration error, %%: %s", calibration_text(report))
        error = "" if report.equivariance is None else f", E_Err {report.equivariance.mean:.3f}"
        mean = 100 * report.scores.mean(report.final)
        logger.info("mean over %d scales %.2f%s; files in %s", len(report.scores.scales), mean, error, self.output_dir)


def sigma_values(network: Network) -> tuple[dict[str, list[float]], dict[str, list[list[float]]]]:
    """Return sigma in pixels of every layer and scale group, and its bounds; both are empty for networks without sigma.

    Bounds are left out if a sigma lies outside them, as a free sigma may.
    """
    values, bounds = network.sigmas(), network.sigma_bounds()
    held = all(((bounds[name][:, 0] <= sigma) & (sigma <= bounds[name][:, 1])).all() for name, sigma in values.items())
    return (
        {name: sigma.tolist() for name, sigma in values.items()},
        {name: pairs.tolist() for name, pairs in bounds.items()} if held else {},
    )
