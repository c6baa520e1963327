"""What the reports of all evaluations have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from monai_seunet.metrics import RotationScores, ScaleScores
from monai_seunet.report.files import read_report, write_report


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Scores of one network on one part of a data set, and what they were measured on.

    Attributes:
        method: name of the method in tables and figures, such as `SEUNet`.
        scores: of every head and strategy.
        classes: class names; the position is the class index.
        strategy: fusion strategy that stands for the network.
        data: name of the data set.
        split: hash of which image is in which section; empty in the reports of earlier versions.
        section: its part, such as `validation`.
        region: what of each image was evaluated, such as `middle 500 pixels`; empty for all of it.
        checkpoint: file that the weights came from.
        parameters: number of trainable parameters.
    """

    kind: ClassVar[str]
    version: ClassVar[int]
    scores_type: ClassVar[type[ScaleScores] | type[RotationScores]]

    method: str
    scores: Any
    classes: tuple[str, ...]
    strategy: str = "p_ens"
    data: str = ""
    split: str = ""
    section: str = ""
    region: str = ""
    checkpoint: str = ""
    parameters: int = 0

    @classmethod
    def format(cls) -> str:
        """How the file says what it is."""
        return f"monai_seunet {cls.kind} {cls.version}"

    @property
    def final(self) -> str:
        """Name of the predictor that stands for the network."""
        return self.scores.final(self.strategy)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {
            "format": self.format(),
            "method": self.method,
            "data": self.data,
            "split": self.split,
            "section": self.section,
            "region": self.region,
            "checkpoint": self.checkpoint,
            "parameters": self.parameters,
            "classes": list(self.classes),
            "strategy": self.strategy,
            "scores": self.scores.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild the report from what `to_dict` gave."""
        return cls(**cls.fields_from(values))

    @classmethod
    def fields_from(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the report, from what `to_dict` gave."""
        plain = ("method", "strategy", "data", "section", "region", "checkpoint")
        return {name: values[name] for name in plain} | {
            "scores": cls.scores_type.from_dict(values["scores"]),
            "classes": tuple(values["classes"]),
            "parameters": int(values["parameters"]),
            "split": values.get("split", ""),
        }

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON."""
        return write_report(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a report that `save` wrote.

        Raises:
            InputError: where the file is missing or is not such a report.
        """
        return read_report(path, cls.format(), cls.kind, cls.from_dict)
