"""Segmentation scores and measures of equivariance."""

from monai_seunet.metrics.calibration.counts import Calibration, count_probabilities
from monai_seunet.metrics.confusion import class_dice, class_iou, class_mean, confusion_matrix
from monai_seunet.metrics.equivariance import EquivarianceErrors, equivariance_error, measure_equivariance, paired_sizes
from monai_seunet.metrics.f1_difference import F1Difference
from monai_seunet.metrics.multi_scale import MultiScaleScore
from monai_seunet.metrics.multi_scale_objects import MultiScaleObjects
from monai_seunet.metrics.objects.errors import error_kinds
from monai_seunet.metrics.objects.overlaps import connected_objects, object_counts, object_overlaps
from monai_seunet.metrics.objects.scores import ObjectScores, count_objects
from monai_seunet.metrics.patches import patch_pairs, rich_by_heart
from monai_seunet.metrics.rotation_scores import RotationScores
from monai_seunet.metrics.scale_scores import ScaleScores
from monai_seunet.metrics.segmentation_counts import segmentation_counts, segmentation_scores
from monai_seunet.metrics.segmentation_score import SegmentationScore, SegmentationScores

__all__ = [
    "Calibration",
    "EquivarianceErrors",
    "F1Difference",
    "MultiScaleObjects",
    "MultiScaleScore",
    "ObjectScores",
    "RotationScores",
    "ScaleScores",
    "SegmentationScore",
    "SegmentationScores",
    "class_dice",
    "class_iou",
    "class_mean",
    "confusion_matrix",
    "connected_objects",
    "count_objects",
    "count_probabilities",
    "equivariance_error",
    "error_kinds",
    "measure_equivariance",
    "object_counts",
    "object_overlaps",
    "paired_sizes",
    "patch_pairs",
    "rich_by_heart",
    "segmentation_counts",
    "segmentation_scores",
]
