"""What an evaluation of turned images found, as one file that figures, tables and comparisons are made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from monai_seunet.metrics.rotation_scores import LEVELS, RotationScores
from monai_seunet.metrics.segmentation_counts import SCORES
from monai_seunet.report.files import read_report, write_report

FORMAT = "monai_seunet rotation report 1"


@dataclass(frozen=True)
class RotationReport:
    """Scores of one network on one part of a data set in all poses, and what they were measured on.

    Attributes:
        method: name of the method in tables and figures, such as `SEUNet`.
        scores: of every head and strategy for every image in every pose.
        images: file of each image, relative to the data set.
        classes: class names; the position is the class index.
        strategy: fusion strategy that stands for the network.
        data: name of the data set.
        section: its part, such as `validation`.
        region: what of each image was evaluated; empty for all of it.
        checkpoint: file that the weights came from.
        parameters: number of trainable parameters.
        precision: type that the network computed in.
    """

    method: str
    scores: RotationScores
    images: tuple[str, ...]
    classes: tuple[str, ...]
    strategy: str = "p_ens"
    data: str = ""
    section: str = ""
    region: str = ""
    checkpoint: str = ""
    parameters: int = 0
    precision: str = "float32"

    @property
    def final(self) -> str:
        """Name of the predictor that stands for the network."""
        return self.scores.final(self.strategy)

    @property
    def object_truth(self) -> str:
        """What the true objects are, with the number of images where it is not the same for all."""
        found = Counter(self.scores.object_truth)
        if len(found) == 1:
            return next(iter(found))
        return ", ".join(f"{kind} ({count})" for kind, count in sorted(found.items()))

    @property
    def rule(self) -> str:
        """How objects are found and matched, in words."""
        least = self.scores.min_area
        small = f"areas below {least} pixels left out, " if least > 1 else ""
        return f"IoU above {self.scores.iou_threshold:g}, {small}true objects: {self.object_truth}"

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
            "precision": self.precision,
            "classes": list(self.classes),
            "strategy": self.strategy,
            "object_rule": self.rule,
            "images": list(self.images),
            "scores": self.scores.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RotationReport:
        """Rebuild the report from what `to_dict` gave."""
        return cls(
            method=values["method"],
            scores=RotationScores.from_dict(values["scores"]),
            images=tuple(values["images"]),
            classes=tuple(values["classes"]),
            strategy=values["strategy"],
            data=values["data"],
            section=values["section"],
            region=values["region"],
            checkpoint=values["checkpoint"],
            parameters=int(values["parameters"]),
            precision=values["precision"],
        )

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON."""
        return write_report(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> RotationReport:
        """Read a report that `save` wrote.

        Raises:
            InputError: where the file is missing or is not such a report.
        """
        return read_report(path, FORMAT, "rotation report", cls.from_dict)

    def rows(self) -> Iterator[dict[str, str]]:
        """One row per image, pose and predictor, for a CSV table in long form; what is 0/0 stays empty."""
        scores = self.scores
        for k, predictor in enumerate(scores.predictors):
            differences = {level: scores.differences(level, predictor, scores.poses) for level in LEVELS}
            for (i, image), (j, pose) in product(enumerate(self.images), enumerate(scores.poses)):
                row = {"method": self.method, "image": image, "object_truth": scores.object_truth[i]}
                row |= {"pose": pose, "predictor": predictor}
                for name in SCORES:
                    value = scores.scores[name][i, j, k]
                    row[name] = "" if np.isnan(value) else f"{value:.6f}"
                for level, values in differences.items():  # the image as it is has none
                    row[f"f1_difference.{level}"] = f"{values[i, j]:.9g}" if j else ""
                    row[f"abs_f1_difference.{level}"] = f"{abs(values[i, j]):.9g}" if j else ""
                yield row
