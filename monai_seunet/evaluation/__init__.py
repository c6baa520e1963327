"""Evaluation of a network at many scales: what it is shown, what is kept and what is reported."""

from monai_seunet.evaluation.dataset import ScaleDataset
from monai_seunet.evaluation.equivariance import EquivarianceHandler
from monai_seunet.evaluation.panels import PanelHandler
from monai_seunet.evaluation.reporting import ScaleReportHandler
from monai_seunet.evaluation.scales import scale_grid
from monai_seunet.evaluation.tracking import ReportTrackingHandler, training_run

__all__ = [
    "EquivarianceHandler",
    "PanelHandler",
    "ReportTrackingHandler",
    "ScaleDataset",
    "ScaleReportHandler",
    "scale_grid",
    "training_run",
]
