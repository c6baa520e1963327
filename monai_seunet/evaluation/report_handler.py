"""Base class of the handlers that write a report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from ignite.engine import Events
from monai.engines import Workflow

from monai_seunet.data.datalist import PreparedDataset
from monai_seunet.networks.unet.base import Network
from monai_seunet.tracking.split import split_hash


class ReportHandler(ABC):
    """Handler that writes the results of an evaluation into files and a table into the log.

    It reads the scores of all images from `engine.state.metric_details[metric]`. It stores the report in
    `engine.state.<report_key>` and the list of files in `engine.state.<report_key>_files`. An old `report.json` and the
    optional files are removed first and `report.json` is written last: a folder that has it is complete.

    Args:
        output_dir: folder of the files.
        method: name of the method in tables and figures.
        dataset: data set, which gives the names of classes and images.
        section: name of the evaluated section.
        region: description of the evaluated part of each image, see `evaluated_region`.
        network: evaluated network, not wrapped for distributed training; its parameters are counted.
        checkpoint: file of the weights.
        strategy: fusion strategy of the reported score.
        metric: name of the evaluator's metric, or None for `default_metric`.

    Attributes:
        report_key: name of the report in the engine's state.
        default_metric: usual name of the evaluator's metric.
        optional: names of files that only some reports have.
    """

    report_key: ClassVar[str]
    default_metric: ClassVar[str]
    optional: ClassVar[tuple[str, ...]] = ()

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
        self.metric = metric or self.default_metric

    def attach(self, engine: Workflow) -> None:
        """Attach the handler to an evaluator."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Write the files; only rank 0 does so."""
        if getattr(engine.state, "rank", 0) != 0:
            return
        report = self.report(engine)
        for name in ("report.json", *self.optional):
            (self.output_dir / name).unlink(missing_ok=True)
        files = [*self.write(report, engine), report.save(self.output_dir / "report.json")]
        setattr(engine.state, self.report_key, report)
        setattr(engine.state, f"{self.report_key}_files", files)
        self.log(report)

    @abstractmethod
    def report(self, engine: Workflow) -> Any:
        """Make the report."""

    @abstractmethod
    def write(self, report: Any, engine: Workflow) -> list[Path]:
        """Write all files but `report.json`."""

    @abstractmethod
    def log(self, report: Any) -> None:
        """Log the results."""

    def common(self, engine: Workflow) -> dict[str, Any]:
        """Return the fields that every report has."""
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
    """Return a phrase for tables; it is empty if whole images are evaluated at once.

    Args:
        field: side in pixels of the central square, or None for the whole image.
        multiple: the sides are cropped to multiples of this number; None for no crop.
        window: side of the windows in pixels, or 0 for the whole image at once.

    >>> evaluated_region(512, window=256)
    'middle 512 pixels, windows of 256'
    """
    parts = [
        "" if field is None else f"middle {field} pixels",
        "" if multiple is None else f"sides cropped to multiples of {multiple}",
        f"windows of {window}" if window > 0 else "",
    ]
    return ", ".join(filter(None, parts))
