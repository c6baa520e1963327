"""Evaluation of a network at many scales: what it is shown, what is kept and what is reported."""

from monai_seunet.evaluation.dataset import ScaleDataset
from monai_seunet.evaluation.scales import scale_grid

__all__ = ["ScaleDataset", "scale_grid"]
