"""Losses of networks with one prediction per scale group."""

from monai_seunet.losses.direction import DirectionLoss
from monai_seunet.losses.scale_group import ScaleGroupLoss, by_group

__all__ = ["DirectionLoss", "ScaleGroupLoss", "by_group"]
