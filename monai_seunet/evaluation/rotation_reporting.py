"""Handler that writes the report of an evaluation of turned images."""

from __future__ import annotations

import logging
from pathlib import Path

from monai.engines import Workflow

from monai_seunet.drawing.table import long_csv
from monai_seunet.evaluation.report_handler import ReportHandler
from monai_seunet.report.files import save_figure, write_tables
from monai_seunet.report.rotations.figures import draw_absolute, draw_signed, predictor_groups, turn_groups
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.rotations.tables import rotation_table
from monai_seunet.utils.files import write_text

logger = logging.getLogger(__name__)


class RotationReportHandler(ReportHandler):
    """Handler that writes scores, tables and figures of an evaluation of turned images.

    For the arguments see `ReportHandler`. The key is `rotation_report` and the metric an `F1Difference`.
    """

    report_key = "rotation_report"
    default_metric = "f1_difference"

    def report(self, engine: Workflow) -> RotationReport:
        """Make the report."""
        common = self.common(engine)
        items = self.dataset.items(self.section)[: common["scores"].images]
        images = tuple(map(self.dataset.name_of, items))
        precision = str(next(self.network.parameters()).dtype).removeprefix("torch.")
        return RotationReport(**common, images=images, precision=precision)

    def write(self, report: RotationReport, engine: Workflow) -> list[Path]:
        """Write tables and figures."""
        folder, note = self.output_dir, report.note
        signed = draw_signed(turn_groups(report), f"{self.method}: F1 of the image minus F1 of the turned image", note)
        title = f"{self.method}: F1, and how much it changes under quarter turns"
        return [
            *write_tables({"table": rotation_table(report)}, folder),
            write_text(folder / "turns.csv", long_csv(report.rows())),
            save_figure(signed, folder / "signed_differences.png"),
            save_figure(draw_absolute(predictor_groups(report), title, note), folder / "rotations.png"),
        ]

    def log(self, report: RotationReport) -> None:
        """Log the results."""
        table = rotation_table(report).to_text()
        logger.info("F1 of %s and its change under quarter turns (%s)\n%s", self.method, report.note, table)
        logger.info("files in %s", self.output_dir)
