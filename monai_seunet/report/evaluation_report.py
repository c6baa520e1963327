"""Base class of the reports of all evaluations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from monai_seunet.metrics import RotationScores, ScaleScores
from monai_seunet.report.files import read_values
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Scores of one network on one section of a data set.

    Attributes:
        method: name of the method in tables and figures, such as `SEUNet`.
        scores: scores of every head and strategy.
        classes: class names; the position is the class index.
        strategy: fusion strategy of the final prediction.
        data: name of the data set.
        split: hash of the split into sections; empty in reports of earlier versions.
        section: section of the data set, such as `validation`.
        region: evaluated part of each image, such as `middle 500 pixels`; empty for the whole image.
        checkpoint: file of the weights.
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
        """Return the value of `format` in the file."""
        return f"monai_seunet {cls.kind} {cls.version}"

    @property
    def final(self) -> str:
        """Name of the predictor of the final prediction."""
        return self.scores.final(self.strategy)

    def conditions(self) -> dict[str, tuple[object, str]]:
        """Return the values that compared reports must share, each with advice for a difference, by name."""
        names = ("data", "section", "region", "classes")
        return {name: (getattr(self, name), "compare evaluations of the same images") for name in names}

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return one report of the images of all parts: the folds of a cross-validation of one method.

        What belongs to one network alone, such as its weights, is that of the first part.
        """
        return replace(parts[0], scores=cls.scores_type.joined([part.scores for part in parts]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
        plain = ("method", "data", "split", "section", "region", "checkpoint", "parameters")
        values = {"format": self.format(), **{name: getattr(self, name) for name in plain}}
        return values | {"classes": list(self.classes), "strategy": self.strategy, "scores": self.scores.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **own: Any) -> Self:
        """Rebuild the report from what `to_dict` gave.

        Args:
            values: plain values.
            own: fields that only this kind of report has.
        """
        plain = ("method", "strategy", "data", "section", "region", "checkpoint", "parameters")
        return cls(
            **{name: values[name] for name in plain},
            split=values.get("split", ""),
            classes=tuple(values["classes"]),
            scores=cls.scores_type.from_dict(values["scores"]),
            **own,
        )

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON."""
        return write_text(path, json.dumps(self.to_dict(), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a report that `save` wrote.

        Raises:
            InputError: the file is missing, damaged or another report.
        """
        values = read_values(path)
        if values.get("format") != cls.format():
            raise InputError(f"{path}: not a {cls.kind}; give the report.json of an evaluation")
        try:
            return cls.from_dict(values)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: a damaged {cls.kind} ({error!r}); repeat the evaluation") from error
