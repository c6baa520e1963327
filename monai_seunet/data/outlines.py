"""Annotations of an image to an instance or a class label."""

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

# Hand-drawn outlines of the official MoNuSeg files run up to 2.93 pixels over the edge of their image.
EDGE_TOLERANCE = 3.0


class Drawing(NamedTuple):
    """An instance label, and the positions (from 0) of the annotations that are not in it whole.

    Attributes:
        label: (H, W), uint16.
        clipped: annotations that run far over the edge of the image; the rest of them is drawn.
        empty: annotations outside the image, or without a pixel in them.
        hidden: annotations that others cover.
    """

    label: np.ndarray
    clipped: list[int]
    empty: list[int]
    hidden: list[int]


def draw_instances(annotations: Sequence[Annotation], size: tuple[int, int], file: object = "(no file)") -> Drawing:
    """Fill annotations into an instance label.

    Annotation i gets the number i + 1, so that objects that touch stay apart; `stack_instances` says what becomes of
    those that overlap.
    Invariant: the foreground is the union of the filled annotations; every pixel of it has the number of one that holds
    it.
    Limits: annotations that others cover have no pixel left, and those outside the image none at all; both are listed.
    A pixel belongs to an outline that holds the pixel's centre.

    Args:
        annotations: of the image; outlines of fewer than three points enclose nothing.
        size: rows and columns of the image.
        file: what messages call the source of the annotations.

    Returns:
        the label, and which annotations were clipped (more than 3 pixels over the edge), are empty or hidden.

    Raises:
        InputError: for more annotations than 16 bits can number.
    """
    label, empty, hidden = stack_instances([pixels_of(one, size) for one in annotations], size, file)
    clipped = [i for i, one in enumerate(annotations) if i not in empty and _runs_over(one, size)]
    return Drawing(label, clipped, empty, hidden)


def label_of_instances(found: AnnotationFile, size: tuple[int, int], file: Path, problems: list[str]) -> np.ndarray:
    """The instance label (H, W) of the annotations of a file, one number for each.

    Marks of crowds, which do not tell objects apart, are left out.

    Args:
        found: what was read.
        size: rows and columns of the image.
        file: the file, for messages.
        problems: gets one line for everything that is not in the label whole.

    Raises:
        InputError: where no outline covers a pixel of the image, the file is of an image of another size, and as
            `draw_instances`.
    """
    crowds = sum(one.crowd for one in found.annotations)
    if crowds:
        kept = [one for one in found.annotations if not one.crowd]
        found = replace(found, annotations=kept, skipped=found.skipped + Counter({"mark of a crowd": crowds}))
    drawing = _draw(found, size, file, problems)
    problems += _remarks(file, {"are covered by others; skipped": drawing.hidden})
    return drawing.label


def label_of_classes(
    found: AnnotationFile, classes: Sequence[str], size: tuple[int, int], file: Path, problems: list[str]
) -> np.ndarray:
    """The class label (H, W) of the annotations of a file, by their names.

    Pixels that several annotations hold go to the smallest of them.

    Args:
        found: what was read.
        classes: their names; the position is the value. Case does not count.
        size: rows and columns of the image.
        file: the file, for messages.
        problems: gets one line for everything that is not in the label whole.

    Raises:
        InputError: as `label_of_instances`, and where no annotation has the name of a class.
    """
    values = [class_of(one, classes) for one in found.annotations]
    known = [one for one, value in zip(found.annotations, values, strict=True) if value is not None]
    unknown = named(one for one, value in zip(found.annotations, values, strict=True) if value is None)
    if unknown and not known:
        raise InputError(f"{file}: no outline of {', '.join(classes)} (there are {unknown}); correct --classes")
    if unknown:
        problems.append(f"{file}: outlines of other classes than {', '.join(classes)} skipped: {unknown}")
    drawing = _draw(replace(found, annotations=known), size, file, problems)
    return np.array([0, *(value for value in values if value is not None)], np.uint16)[drawing.label]


def class_of(annotation: Annotation, classes: Sequence[str]) -> int | None:
    """The position of an annotation's class, whatever the case of its name; None where it has none of them."""
    names = [name.casefold() for name in classes]
    return names.index(annotation.name.casefold()) if annotation.name.casefold() in names else None


def named(annotations: Iterable[Annotation]) -> str:
    """How many annotations there are of each name, in words: `2 of 'ink', 1 without a name`."""
    counts = Counter(" ".join(one.name.split()) for one in annotations)
    return ", ".join(f"{count} of '{name}'" if name else f"{count} without a name" for name, count in counts.items())


def no_outline(found: AnnotationFile) -> str:
    """What a file without an outline holds, in words."""
    return f"holds {counted(found.skipped)}, no outline" if found.skipped else "holds no outline"


def check_annotated_size(found: AnnotationFile, size: tuple[int, int], file: object) -> None:
    """Refuse annotations that were made on an image of another size.

    Raises:
        InputError: naming the file.
    """
    if found.size not in (None, size):
        height, width = found.size or size
        raise InputError(f"{file}: made for {width} x {height} pixels, but the image has {size[1]} x {size[0]}")


def _draw(found: AnnotationFile, size: tuple[int, int], file: Path, problems: list[str]) -> Drawing:
    check_annotated_size(found, size, file)
    if not found.annotations:
        raise InputError(f"{file}: {no_outline(found)}; the image is skipped")
    if found.skipped:
        problems.append(f"{file}: no outlines, skipped: {counted(found.skipped)}")
    drawing = draw_instances(found.annotations, size, file)
    if not drawing.label.any():
        raise InputError(
            f"{file}: none of {len(found.annotations)} outline(s) covers a pixel of the image ({size[1]} x {size[0]}); "
            "the image is skipped"
        )
    cases = {
        "run over the edge of the image; clipped": drawing.clipped,
        "lie outside the image or enclose no pixel; skipped": drawing.empty,
    }
    problems += _remarks(file, cases)
    return drawing


def _remarks(file: Path, cases: dict[str, list[int]]) -> list[str]:
    """One line for each way in which annotations are not in the label whole."""
    return [
        f"{file}: {len(found)} outline(s) {what} (number {', '.join(str(index + 1) for index in found[:5])}"
        f"{', ...' if len(found) > 5 else ''} of its outlines)"
        for what, found in cases.items()
        if found
    ]


def _runs_over(annotation: Annotation, size: tuple[int, int]) -> bool:
    least, most = bounds_of(annotation)
    limit = np.asarray([size[1], size[0]]) + EDGE_TOLERANCE
    return bool((least < -EDGE_TOLERANCE).any() or (most > limit).any())
