"""What the handlers that write a report have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from ignite.engine import Events
from monai.engines import Workflow

from monai_seunet.data.datalist import PreparedDataset
from monai_seunet.networks.unet.base import Network
from monai_seunet.tracking.training import split_hash


class ReportHandler(ABC):
    """Write what an evaluator found into a folder when it is done, and a table of it into the log.

    Reads `engine.state.metric_details[metric]`. The report is put into `engine.state` by the name `report_key`, and the
    files by that name and `_files`. Files are whole or not there; `report.json` comes last, so that a folder with it is
    complete, and none of them is left from an earlier evaluation.

    Args:
        output_dir: folder of the files.
        method: name of the method in tables and figures.
        dataset: for the class names, and the names of the data and the images.
        section: part of the data set that is evaluated: its first images.
        region: what of each image is evaluated, see `evaluated_region`.
        network: for the number of parameters; not wrapped for distributed training.
        checkpoint: file that the weights came from.
        strategy: fusion strategy that stands for the network.
        metric: name of the evaluator's metric; None for the usual one.
    """

    report_key: ClassVar[str]
    usual_metric: ClassVar[str]
    optional: ClassVar[tuple[str, ...]] = ()  # names of the files that not every report has

    def __init__(
        self,
        output_dir: str | Path,
        method: str,
        dataset: PreparedDataset,
        section: str,
        region: str,
        network: Network,
        checkpoint: str | Path = "",
        strategy: str = "p_ens",
        metric: str | None = None,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.method = method
        self.dataset = dataset
        self.section = section
        self.region = region
        self.network = network
        self.checkpoint = checkpoint
        self.strategy = strategy
        self.metric = metric or self.usual_metric

    def attach(self, engine: Workflow) -> None:
        """Follow an evaluator."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Write the files of rank 0's evaluator."""
        if getattr(engine.state, "rank", 0) != 0:
            return
        report = self.report(engine)
        for name in ("report.json", *self.optional):  # until all is new
            (self.output_dir / name).unlink(missing_ok=True)
        files = [*self.write(report, engine), report.save(self.output_dir / "report.json")]
        setattr(engine.state, self.report_key, report)
        setattr(engine.state, f"{self.report_key}_files", files)
        self.log(report)

    @abstractmethod
    def report(self, engine: Workflow) -> Any:
        """The report."""

    @abstractmethod
    def write(self, report: Any, engine: Workflow) -> list[Path]:
        """Write all files but `report.json`."""

    @abstractmethod
    def log(self, report: Any) -> None:
        """Say what was found."""

    def common(self, engine: Workflow) -> dict[str, Any]:
        """The fields of every report."""
        return {
            "method": self.method,
            "scores": engine.state.metric_details[self.metric],
            "classes": self.dataset.classes,
            "strategy": self.strategy,
            "data": self.dataset.name,
            "split": split_hash(self.dataset),
            "section": self.section,
            "region": self.region,
            "checkpoint": str(self.checkpoint),
            "parameters": sum(p.numel() for p in self.network.parameters() if p.requires_grad),
        }


def evaluated_region(field: int | None, multiple: int | None = None, window: int = 0) -> str:
    """What of each image is evaluated and how, for the report; empty for the whole image at once.

    Args:
        field: side in pixels of the middle that is evaluated; None for all of it.
        multiple: of which the sides are made multiples; None where they are left.
        window: side of the windows; 0 for the whole image.
    """
    parts = [
        "" if field is None else f"middle {field} pixels",
        "" if multiple is None else f"sides cropped to multiples of {multiple}",
        f"windows of {window}" if window > 0 else "",
    ]
    return ", ".join(filter(None, parts))
