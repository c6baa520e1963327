"""Readers of the annotation files of other programs."""

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part
from monai_seunet.reading.annotations.read import read_annotations, read_coco

__all__ = ["Annotation", "AnnotationFile", "Part", "read_annotations", "read_coco"]
