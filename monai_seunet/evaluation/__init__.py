"""Evaluation of a network at many scales and in many poses: data sets, handlers and reports."""

from monai_seunet.evaluation.dataset import ScaleDataset
from monai_seunet.evaluation.equivariance import EquivarianceHandler
from monai_seunet.evaluation.panels import PanelHandler
from monai_seunet.evaluation.report_handler import evaluated_region
from monai_seunet.evaluation.reporting import ScaleReportHandler
from monai_seunet.evaluation.rotation import RotationDataset, float_type
from monai_seunet.evaluation.rotation_reporting import RotationReportHandler
from monai_seunet.evaluation.scales import scale_grid

__all__ = [
    "EquivarianceHandler",
    "PanelHandler",
    "RotationDataset",
    "RotationReportHandler",
    "ScaleDataset",
    "ScaleReportHandler",
    "evaluated_region",
    "float_type",
    "scale_grid",
]
