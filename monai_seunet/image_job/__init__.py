"""Segmentation of single images, which `inference.json` runs."""

from monai_seunet.image_job.job import ImageJob
from monai_seunet.image_job.tolerant import TolerantDataset, TolerantEvaluator

__all__ = ["ImageJob", "TolerantDataset", "TolerantEvaluator"]
