"""What an evaluation found, as one file that figures, tables and comparisons are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_seunet.metrics import EquivarianceErrors, ScaleScores
from monai_seunet.report.files import read_report, write_report

FORMAT = "monai_seunet scale report 2"


@dataclass(frozen=True)
class ScaleReport:
    """Scores of one network on one part of a data set at all test scales, and what was measured beside them.

    Attributes:
        method: name of the method in tables and figures, such as `SEUNet`.
        scores: of every head and strategy at every scale.
        classes: class names; the position is the class index.
        strategy: fusion strategy that stands for the network.
        data: name of the data set.
        section: its part, such as `validation`.
        region: what of each image was evaluated, such as `middle 500 pixels`; empty for all of it.
        checkpoint: file that the weights came from.
        parameters: number of trainable parameters.
        equivariance: error under zoom; None where it was not measured.
        sigmas: sigma of every scale group, by layer; empty for networks without.
        sigma_bounds: lower and upper bound of every scale group, by layer; empty where sigma is free.
    """

    method: str
    scores: ScaleScores
    classes: tuple[str, ...]
    strategy: str = "p_ens"
    data: str = ""
    section: str = ""
    region: str = ""
    checkpoint: str = ""
    parameters: int = 0
    equivariance: EquivarianceErrors | None = None
    sigmas: Mapping[str, list[float]] = field(default_factory=dict)
    sigma_bounds: Mapping[str, list[list[float]]] = field(default_factory=dict)

    @property
    def final(self) -> str:
        """Name of the predictor that stands for the network."""
        return self.scores.final(self.strategy)

    @property
    def score_name(self) -> str:
        """What the score is called: the IoU of the one foreground class, or mIoU."""
        foreground = len(self.classes) == 2 and not self.scores.include_background
        return f"IoU of {self.classes[1]}" if foreground else "mIoU"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {
            "format": FORMAT,
            "method": self.method,
            "data": self.data,
            "section": self.section,
            "region": self.region,
            "checkpoint": self.checkpoint,
            "parameters": self.parameters,
            "classes": list(self.classes),
            "strategy": self.strategy,
            "score": self.score_name,
            "scores": self.scores.to_dict(),
            "equivariance": self.equivariance and self.equivariance.to_dict(),
            "sigmas": dict(self.sigmas),
            "sigma_bounds": dict(self.sigma_bounds),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ScaleReport:
        """Rebuild the report from what `to_dict` gave."""
        errors = values["equivariance"]
        return cls(
            method=values["method"],
            scores=ScaleScores.from_dict(values["scores"]),
            classes=tuple(values["classes"]),
            strategy=values["strategy"],
            data=values["data"],
            section=values["section"],
            region=values["region"],
            checkpoint=values["checkpoint"],
            parameters=int(values["parameters"]),
            equivariance=EquivarianceErrors.from_dict(errors) if errors else None,
            sigmas=values["sigmas"],
            sigma_bounds=values["sigma_bounds"],
        )

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON."""
        return write_report(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> ScaleReport:
        """Read a report that `save` wrote.

        Raises:
            InputError: where the file is missing or is not such a report.
        """
        return read_report(path, FORMAT, "scale report", cls.from_dict)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row per scale, predictor and class, for a CSV table in long form."""
        iou, dice = self.scores.iou, self.scores.dice
        for i, scale in enumerate(self.scores.scales):
            for j, predictor in enumerate(self.scores.predictors):
                for k, name in enumerate(self.classes):
                    yield {
                        "method": self.method,
                        "scale": f"{scale:.6g}",
                        "predictor": predictor,
                        "class": name,
                        "iou": f"{iou[i, j, k]:.6f}",
                        "dice": f"{dice[i, j, k]:.6f}",
                        "score": f"{self.scores.scores[i, j]:.6f}",
                        "mean_of_image_scores": f"{self.scores.image_scores[i, j]:.6f}",
                    }
