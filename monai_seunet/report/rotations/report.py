"""Report of an evaluation of turned images, the source of figures, tables and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Self

import numpy as np

from monai_seunet.metrics.rotation_scores import LEVELS, RotationScores
from monai_seunet.metrics.segmentation_counts import SCORES
from monai_seunet.report.evaluation_report import EvaluationReport


@dataclass(frozen=True, kw_only=True)
class RotationReport(EvaluationReport):
    """Scores of one network in all poses on one section of a data set.

    Attributes:
        images: file of each image, relative to the data set.
        precision: data type of the computation.
    """

    kind = "rotation report"
    version = 1
    scores_type = RotationScores

    scores: RotationScores
    images: tuple[str, ...]
    precision: str = "float32"

    @property
    def object_truth(self) -> str:
        """Source of the true objects, with numbers of images if the sources differ."""
        counts = Counter(self.scores.object_truth)
        if len(counts) == 1:
            return next(iter(counts))
        return ", ".join(f"{source} ({count})" for source, count in sorted(counts.items()))

    @property
    def rule(self) -> str:
        """Description of the rule by which objects match."""
        least = self.scores.min_area
        small = f"areas below {least} pixels left out, " if least > 1 else ""
        return f"IoU above {self.scores.iou_threshold:g}, {small}true objects: {self.object_truth}"

    @property
    def note(self) -> str:
        """Data and rule of the evaluation in one line, for figures."""
        count = self.scores.images
        where = [self.data, self.section, f"{count} image" + "s" * (count != 1), self.region, self.precision]
        return f"{', '.join(filter(None, where))}; objects: {self.rule}"

    def conditions(self) -> dict[str, tuple[object, str]]:
        """Return the values that compared reports must share, see `EvaluationReport.conditions`."""
        rule = ("iou_threshold", "min_area", "object_truth")
        return super().conditions() | {
            "precision": (self.precision, "compare the same pixels"),
            **{name: (getattr(self.scores, name), f"evaluate both with the same {name}") for name in rule},
            "list of images": (self.images, "evaluate both with the same data set and max_images"),
        }

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return one report of the images of all parts, see `EvaluationReport.joined`."""
        return replace(super().joined(parts), images=tuple(image for part in parts for image in part.images))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
        own = {"precision": self.precision, "object_rule": self.rule, "images": list(self.images)}
        return super().to_dict() | own

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **own: Any) -> Self:
        """Rebuild the report from what `to_dict` gave."""
        return super().from_dict(values, images=tuple(values["images"]), precision=values["precision"], **own)

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield one row for each image, pose and predictor, for a CSV table in long form; 0/0 is empty."""
        scores = self.scores
        for k, predictor in enumerate(scores.predictors):
            differences = {level: scores.differences(level, predictor, scores.poses) for level in LEVELS}
            for (i, image), (j, pose) in product(enumerate(self.images), enumerate(scores.poses)):
                row = {"method": self.method, "image": image, "object_truth": scores.object_truth[i]}
                row |= {"pose": pose, "predictor": predictor}
                for name in SCORES:
                    value = scores.scores[name][i, j, k]
                    row[name] = "" if np.isnan(value) else f"{value:.6f}"
                for level, values in differences.items():  # the image without a turn has none
                    row[f"f1_difference.{level}"] = f"{values[i, j]:.9g}" if j else ""
                    row[f"abs_f1_difference.{level}"] = f"{abs(values[i, j]):.9g}" if j else ""
                yield row
