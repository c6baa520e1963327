"""Report of an evaluation over scales, the source of figures, tables and comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Self

from monai_seunet.metrics import Calibration, EquivarianceErrors, ObjectScores, ScaleScores
from monai_seunet.report.evaluation_report import EvaluationReport


@dataclass(frozen=True, kw_only=True)
class ScaleReport(EvaluationReport):
    """Scores of one network at all test scales on one section of a data set.

    Attributes:
        equivariance: errors under zoom; None if they were not measured.
        objects: scores of the objects of the final prediction; None if they were not measured.
        sigmas: sigma of every scale group, by layer; empty for networks without scale groups.
        sigma_bounds: lower and upper bound of every scale group, by layer; empty if sigma is free.
    """

    kind = "scale report"
    version = 2
    scores_type = ScaleScores

    scores: ScaleScores
    equivariance: EquivarianceErrors | None = None
    objects: ObjectScores | None = None
    sigmas: Mapping[str, list[float]] = field(default_factory=dict)
    sigma_bounds: Mapping[str, list[list[float]]] = field(default_factory=dict)

    @property
    def score_name(self) -> str:
        """Name of the score: IoU of the only foreground class, or mIoU."""
        foreground = len(self.classes) == 2 and not self.scores.include_background
        return f"IoU of {self.classes[1]}" if foreground else "mIoU"

    def calibrations(self) -> dict[str, Calibration]:
        """Return the calibration at every scale of the `pixels` and the predicted `objects`, if they were counted.

        That of pixels is missing in earlier reports, and if the final fusion is not that of the evaluation.
        """
        pixels = self.scores.calibration.get(self.final)
        objects = self.objects.calibration if self.objects is not None else None
        return {name: part for name, part in (("pixels", pixels), ("objects", objects)) if part is not None}

    def conditions(self) -> dict[str, tuple[object, str]]:
        """Return the values that compared reports must share, see `EvaluationReport.conditions`."""
        images = "evaluate both with the same max_images, and by this version, which counts images without objects"
        grid = "evaluate both with the same minimum_scale, maximum_scale and steps_per_octave"
        values: dict[str, tuple[object, str]] = super().conditions()
        values["number of images"] = self.scores.images, images
        values["list of scales"] = [f"{scale:.5g}" for scale in self.scores.scales], grid
        if self.equivariance is not None:
            remedy = "evaluate both with the same equivariance_images"
            values["number of images of E_Err"] = self.equivariance.images, remedy
        return values

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return one report of the images of all parts, see `EvaluationReport.joined`."""
        errors = [part.equivariance for part in parts if part.equivariance is not None]
        objects = [part.objects for part in parts if part.objects is not None]
        return replace(
            super().joined(parts),
            equivariance=EquivarianceErrors.joined(errors) if len(errors) == len(parts) else None,
            objects=ObjectScores.joined(objects) if len(objects) == len(parts) else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
        return super().to_dict() | {
            "score": self.score_name,
            "equivariance": self.equivariance and self.equivariance.to_dict(),
            "objects": self.objects and self.objects.to_dict(),
            "sigmas": dict(self.sigmas),
            "sigma_bounds": dict(self.sigma_bounds),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **own: Any) -> Self:
        """Rebuild the report from what `to_dict` gave."""
        errors, objects = values["equivariance"], values.get("objects")  # earlier reports have no objects
        return super().from_dict(
            values,
            equivariance=EquivarianceErrors.from_dict(errors) if errors else None,
            objects=ObjectScores.from_dict(objects) if objects else None,
            sigmas=values["sigmas"],
            sigma_bounds=values["sigma_bounds"],
            **own,
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield one row for each scale, predictor and class, for a CSV table in long form."""
        predictors, iou, dice = self.scores.predictors, self.scores.iou, self.scores.dice
        scores, image_scores = self.scores.scores, self.scores.image_scores
        places = product(enumerate(self.scores.scales), enumerate(predictors), enumerate(self.classes))
        for (i, scale), (j, predictor), (k, name) in places:
            row = {"method": self.method, "scale": f"{scale:.6g}", "predictor": predictor, "class": name}
            values = {"iou": iou[i, j, k], "dice": dice[i, j, k], "score": scores[i, j]}
            values["mean_of_image_scores"] = image_scores[i, j]
            yield row | {key: f"{value:.6f}" for key, value in values.items()}
