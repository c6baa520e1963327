"""Scores of segmentations, and measures of equivariance."""

from monai_seunet.metrics.confusion import class_dice, class_iou, class_mean, confusion_matrix
from monai_seunet.metrics.equivariance import EquivarianceErrors, equivariance_error, measure_equivariance, paired_sizes
from monai_seunet.metrics.multi_scale import MultiScaleScore
from monai_seunet.metrics.patches import patch_pairs
from monai_seunet.metrics.scale_scores import ScaleScores

__all__ = [
    "EquivarianceErrors",
    "MultiScaleScore",
    "ScaleScores",
    "class_dice",
    "class_iou",
    "class_mean",
    "confusion_matrix",
    "equivariance_error",
    "measure_equivariance",
    "paired_sizes",
    "patch_pairs",
]
