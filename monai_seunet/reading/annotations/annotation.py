"""The common form of annotations from all programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from monai_seunet.reading.annotations.run_lengths import RunLengths
from monai_seunet.utils.errors import InputError

MAX_COORDINATE = 2.0**31


class Part(NamedTuple):
    """One connected area.

    Attributes:
        outer: points (V, 2) of its outline, x (column) and y (row) in pixels; fewer than three enclose nothing.
        holes: outlines of holes in the area, in the same form.
    """

    outer: np.ndarray
    holes: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Annotation:
    """One object or region.

    Attributes:
        parts: connected areas of the object.
        name: name of its class; empty without a class.
        layer: name of the layer or group in the file.
        mask: pixels of the object, in place of parts.
        crowd: whether it marks several objects that were not separated.
        centre: coordinate of the centre of the first pixel: 0.5 in most programs, whose pixel edges are whole numbers.
    """

    parts: tuple[Part, ...] = ()
    name: str = ""
    layer: str = ""
    mask: RunLengths | None = None
    crowd: bool = False
    centre: float = 0.5


@dataclass(frozen=True)
class AnnotationFile:
    """The annotations of one image in a file.

    Attributes:
        format: name of the file format for messages.
        annotations: outlines and masks, in the order of the file.
        skipped: number of annotations that have no area, by their type (`ruler`).
        size: rows and columns of the image; None if the file does not state them.
    """

    format: str
    annotations: list[Annotation]
    skipped: Counter[str] = field(default_factory=Counter)
    size: tuple[int, int] | None = None


def counted(counts: Counter[str]) -> str:
    """Describe counts in words such as `12 rulers, 1 point`."""
    return ", ".join(f"{count} {_plural(name) if count > 1 else name}" for name, count in counts.items())


def ring(points: Sequence[Any], where: str) -> np.ndarray:
    """Check the points of an outline.

    Args:
        points: x and y of each point; further numbers are ignored.
        where: name of the outline in messages.

    Returns:
        the points (V, 2) as float64.

    Raises:
        InputError: a point is not a pair of finite numbers, or lies beyond 2^31 pixels.
    """
    if not len(points):
        return np.zeros((0, 2))
    try:
        array = np.asarray([point[:2] for point in points])
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"{where}: a point is no pair of numbers; export the file again") from error
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iuf":
        raise InputError(f"{where}: a point is no pair of numbers; export the file again")
    array = array.astype(np.float64)
    invalid = array[~(np.abs(array) < MAX_COORDINATE).all(axis=1)]  # the comparison is also false for nan and inf
    if len(invalid):
        x, y = invalid[0]
        raise InputError(f"{where}: a point at ({x:g}, {y:g}), which is no pixel; export the file again")
    return array


def box(points: np.ndarray) -> np.ndarray:
    """Return the corners (4, 2) of the bounding box of points (V, 2)."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def ellipse(centre: Sequence[float], radii: Sequence[float], angle: float = 0.0, points: int = 360) -> np.ndarray:
    """Return points (V, 2) on an ellipse.

    Limits: the chords of 360 points deviate from the ellipse by 1 / 26,000 of the radius.

    Args:
        centre: x and y of the centre.
        radii: radii along x and y before the rotation.
        angle: angle of rotation from x to y in radians.
        points: number of points V.
    """
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    x, y = radii[0] * np.cos(turn), radii[1] * np.sin(turn)
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.stack([centre[0] + cosine * x - sine * y, centre[1] + sine * x + cosine * y], axis=1)


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("x") else "s")
