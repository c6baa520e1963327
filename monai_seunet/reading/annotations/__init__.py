"""Annotations that people drew in other programs: the one place that reads their files."""

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part
from monai_seunet.reading.annotations.read import read_annotations, read_coco

__all__ = ["Annotation", "AnnotationFile", "Part", "read_annotations", "read_coco"]
