"""Conversion of the annotations of an image to an instance label or a class label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_seunet.data.instances import stack_instances
from monai_seunet.reading.annotations import Annotation, AnnotationFile
from monai_seunet.reading.annotations.annotation import counted
from monai_seunet.reading.annotations.filling import bounds_of, pixels_of
from monai_seunet.utils.errors import InputError

EDGE_TOLERANCE = 3.0  # pixels; outlines of the official MoNuSeg files exceed their image by up to 2.93


class Drawing(NamedTuple):
    """An instance label, and the indices of the annotations that are not complete in it.

    Attributes:
        label: instance label (H, W), uint16.
        clipped: indices of annotations that exceed the image by more than 3 pixels; their inner part is drawn.
        empty: indices of annotations outside the image or without a pixel.
        hidden: indices of annotations that other annotations cover.
    """

    label: np.ndarray
    clipped: list[int]
    empty: list[int]
    hidden: list[int]


def draw_instances(annotations: Sequence[Annotation], size: tuple[int, int], file: object = "(no file)") -> Drawing:
    """Fill annotations into an instance label; annotation i gets the number i + 1.

    `stack_instances` defines the order of overlapping annotations.
    Invariant: the foreground is the union of the annotations; every pixel has the number of an annotation that contains
    its centre.
    Limits: annotations that are outside the image, or that others cover, have no pixel in the label; both are listed.

    Args:
        annotations: annotations of the image; outlines of fewer than three points enclose nothing.
        size: rows and columns of the image.
        file: name of the source in messages.

    Raises:
        InputError: there are more annotations than 16 bits can number.
    """
    areas = [pixels_of(annotation, size) for annotation in annotations]
    label, empty, hidden = stack_instances(areas, size, file)
    clipped = [i for i, annotation in enumerate(annotations) if i not in empty and _exceeds(annotation, size)]
    return Drawing(label, clipped, empty, hidden)


def label_of_instances(content: AnnotationFile, size: tuple[int, int], file: Path, problems: list[str]) -> np.ndarray:
    """Convert the annotations of a file to an instance label (H, W).

    Crowd annotations of COCO are left out, because they do not separate objects.

    Args:
        content: content of the annotation file.
        size: rows and columns of the image.
        file: path of the file for messages.
        problems: list to which messages about incomplete annotations are appended.

    Raises:
        InputError: no outline covers a pixel of the image, the file was made for another image size, or there are more
            annotations than 16 bits can number.
    """
    crowds = sum(annotation.crowd for annotation in content.annotations)
    if crowds:
        single = [annotation for annotation in content.annotations if not annotation.crowd]
        content = replace(content, annotations=single, skipped=content.skipped + Counter({"mark of a crowd": crowds}))
    drawing = _draw(content, size, file, problems)
    problems += _remarks(file, {"are covered by others; skipped": drawing.hidden})
    return drawing.label


def label_of_classes(
    content: AnnotationFile, classes: Sequence[str], size: tuple[int, int], file: Path, problems: list[str]
) -> np.ndarray:
    """Convert the annotations of a file to a class label (H, W) by their names.

    A pixel in several annotations gets the class of the smallest one.

    Args:
        content: content of the annotation file.
        classes: class names in the order of the class indices; their case is ignored.
        size: rows and columns of the image.
        file: path of the file for messages.
        problems: list to which messages about incomplete annotations are appended.

    Raises:
        InputError: an error of `label_of_instances`, or no annotation has the name of a class.
    """
    values = [class_of(annotation, classes) for annotation in content.annotations]
    pairs = list(zip(content.annotations, values, strict=True))
    known = [annotation for annotation, value in pairs if value is not None]
    unknown = named(annotation for annotation, value in pairs if value is None)
    if unknown and not known:
        raise InputError(f"{file}: no outline of {', '.join(classes)} (there are {unknown}); correct --classes")
    if unknown:
        problems.append(f"{file}: outlines of other classes than {', '.join(classes)} skipped: {unknown}")
    drawing = _draw(replace(content, annotations=known), size, file, problems)
    return np.array([0, *(value for value in values if value is not None)], np.uint16)[drawing.label]


def class_of(annotation: Annotation, classes: Sequence[str]) -> int | None:
    """Return the index of an annotation's class, ignoring the case of its name; None if the name is no class."""
    names = [name.casefold() for name in classes]
    return names.index(annotation.name.casefold()) if annotation.name.casefold() in names else None


def named(annotations: Iterable[Annotation]) -> str:
    """Count the annotations of each name in words such as `2 of 'ink', 1 without a name`."""
    counts = Counter(" ".join(annotation.name.split()) for annotation in annotations)
    return ", ".join(f"{count} of '{name}'" if name else f"{count} without a name" for name, count in counts.items())


def no_outline(content: AnnotationFile) -> str:
    """Describe the content of a file without an outline in words."""
    return f"holds {counted(content.skipped)}, no outline" if content.skipped else "holds no outline"


def check_annotated_size(content: AnnotationFile, size: tuple[int, int], file: object) -> None:
    """Raise an InputError for annotations that were made for another image size."""
    if content.size not in (None, size):
        height, width = content.size or size
        raise InputError(f"{file}: made for {width} x {height} pixels, but the image has {size[1]} x {size[0]}")


def _draw(content: AnnotationFile, size: tuple[int, int], file: Path, problems: list[str]) -> Drawing:
    check_annotated_size(content, size, file)
    if not content.annotations:
        raise InputError(f"{file}: {no_outline(content)}; the image is skipped")
    if content.skipped:
        problems.append(f"{file}: no outlines, skipped: {counted(content.skipped)}")
    drawing = draw_instances(content.annotations, size, file)
    if not drawing.label.any():
        raise InputError(
            f"{file}: none of {len(content.annotations)} outline(s) covers a pixel of the image ({size[1]} x "
            f"{size[0]}); the image is skipped"
        )
    cases = {
        "run over the edge of the image; clipped": drawing.clipped,
        "lie outside the image or enclose no pixel; skipped": drawing.empty,
    }
    problems += _remarks(file, cases)
    return drawing


def _remarks(file: Path, cases: dict[str, list[int]]) -> list[str]:
    """Return one message for each kind of incomplete annotations."""
    return [
        f"{file}: {len(indices)} outline(s) {problem} (number {', '.join(str(index + 1) for index in indices[:5])}"
        f"{', ...' if len(indices) > 5 else ''} of its outlines)"
        for problem, indices in cases.items()
        if indices
    ]


def _exceeds(annotation: Annotation, size: tuple[int, int]) -> bool:
    least, most = bounds_of(annotation)
    limit = np.asarray([size[1], size[0]]) + EDGE_TOLERANCE
    return bool((least < -EDGE_TOLERANCE).any() or (most > limit).any())
