"""Handler that turns what an evaluation of turned images found into files."""

from __future__ import annotations

import logging
from pathlib import Path

from ignite.engine import Events
from monai.engines import Workflow
from torch import nn

from monai_seunet.data.datalist import PreparedDataset
from monai_seunet.report.files import save_figure, write_text
from monai_seunet.report.rotation_compare import rotation_note
from monai_seunet.report.rotation_report import RotationReport
from monai_seunet.report.rotation_tables import rotation_table, turns_csv
from monai_seunet.report.rotations import draw_absolute, draw_signed, predictor_groups, turn_groups

logger = logging.getLogger(__name__)


class RotationReportHandler:
    """Write scores, table and figures of an evaluation of turned images into a folder, and the table into the log.

    Reads `engine.state.metric_details[metric]`. The report is put into `engine.state.rotation_report` and the files
    into `engine.state.rotation_report_files`. Files are whole or not there; `report.json` comes last, so that a folder
    with it is complete.

    Args:
        output_dir: folder of the files.
        method: name of the method in tables and figures.
        dataset: for the class names, the name of the data and the names of the images.
        section: part of the data set that is evaluated: its first images.
        region: what of each image is evaluated, see `evaluated_region`.
        network: for the number of parameters.
        checkpoint: file that the weights came from.
        strategy: fusion strategy that stands for the network.
        precision: type that the network computes in.
        metric: name of the `F1Difference` in the evaluator.
    """

    def __init__(
        self,
        output_dir: str | Path,
        method: str,
        dataset: PreparedDataset,
        section: str,
        region: str,
        network: nn.Module,
        checkpoint: str | Path = "",
        strategy: str = "p_ens",
        precision: str = "float32",
        metric: str = "f1_difference",
    ) -> None:
        self.output_dir = Path(output_dir)
        self.method = method
        self.dataset = dataset
        self.section = section
        self.region = region
        self.network = network
        self.checkpoint = checkpoint
        self.strategy = strategy
        self.precision = precision
        self.metric = metric

    def attach(self, engine: Workflow) -> None:
        """Follow an evaluator."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Write the files."""
        report = self._report(engine)
        engine.state.rotation_report = report
        engine.state.rotation_report_files = self._write(report)
        table = rotation_table(report).to_text()
        logger.info("F1 of %s and its change under quarter turns (%s)\n%s", self.method, rotation_note(report), table)
        logger.info("files in %s", self.output_dir)

    def _report(self, engine: Workflow) -> RotationReport:
        scores = engine.state.metric_details[self.metric]
        root = self.dataset.path.parent.resolve()
        files = [Path(item["image"]) for item in self.dataset.items(self.section)[: scores.images]]
        return RotationReport(
            method=self.method,
            scores=scores,
            images=tuple(file.relative_to(root).as_posix() for file in files),
            classes=self.dataset.classes,
            strategy=self.strategy,
            data=self.dataset.name,
            section=self.section,
            region=self.region,
            checkpoint=str(self.checkpoint),
            parameters=sum(p.numel() for p in self.network.parameters() if p.requires_grad),
            precision=self.precision,
        )

    def _write(self, report: RotationReport) -> list[Path]:
        table, folder, note = rotation_table(report), self.output_dir, rotation_note(report)
        (folder / "report.json").unlink(missing_ok=True)  # until all is new
        signed = draw_signed(turn_groups(report), f"{self.method}: F1 of the image minus F1 of the turned image", note)
        title = f"{self.method}: F1, and how much it changes under quarter turns"
        return [
            write_text(folder / "table.md", table.to_markdown()),
            write_text(folder / "table.csv", table.to_csv()),
            write_text(folder / "turns.csv", turns_csv(report)),
            save_figure(signed, folder / "signed_differences.png"),
            save_figure(draw_absolute(predictor_groups(report), title, note), folder / "rotations.png"),
            report.save(folder / "report.json"),
        ]
