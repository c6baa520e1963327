"""What an annotation is, whatever program wrote it."""

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
        outer: (V, 2) points of its outline, x (column) and y (row) in pixels; fewer than three enclose nothing.
        holes: outlines of the same form; what they enclose does not belong to the area.
    """

    outer: np.ndarray
    holes: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Annotation:
    """One object or region.

    Attributes:
        parts: its areas.
        name: of its class; empty where it has none.
        layer: in which layer or group of the file it lies.
        mask: its pixels, in place of parts.
        crowd: whether it marks a group of objects that were not told apart.
        centre: where the centre of the first pixel lies: at 0.5 in most programs, whose edges are whole numbers.
    """

    parts: tuple[Part, ...] = ()
    name: str = ""
    layer: str = ""
    mask: RunLengths | None = None
    crowd: bool = False
    centre: float = 0.5


@dataclass(frozen=True)
class AnnotationFile:
    """What a file says of one image.

    Attributes:
        format: of the file, for messages.
        annotations: outlines and masks, in the order of the file.
        skipped: how many annotations are not among them, by what they are (`ruler`).
        size: rows and columns of the image, where the file says them.
    """

    format: str
    annotations: list[Annotation]
    skipped: Counter[str] = field(default_factory=Counter)
    size: tuple[int, int] | None = None


def counted(things: Counter[str]) -> str:
    """How many things there are of each kind, in words: `12 rulers, 1 point`."""
    return ", ".join(f"{count} {_plural(name) if count > 1 else name}" for name, count in things.items())


def ring(points: Sequence[Any], where: str) -> np.ndarray:
    """Check the points of an outline.

    Args:
        points: x and y of each, and perhaps more numbers.
        where: what messages call the outline.

    Returns:
        (V, 2), float64.

    Raises:
        InputError: where a point is no pair of finite numbers, or lies beyond what an image can have.
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
    odd = array[~(np.abs(array) < MAX_COORDINATE).all(axis=1)]  # nan and inf are among them
    if len(odd):
        x, y = odd[0]
        raise InputError(f"{where}: a point at ({x:g}, {y:g}), which is no pixel; export the file again")
    return array


def box(points: np.ndarray) -> np.ndarray:
    """The corners (4, 2) of the rectangle around points."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def ellipse(centre: Sequence[float], radii: Sequence[float], angle: float = 0.0, points: int = 360) -> np.ndarray:
    """Points (V, 2) on an ellipse.

    Limits: a chord of 360 is off by 1 / 26,000 of the radius.

    Args:
        centre: x and y.
        radii: along x and y before it is turned.
        angle: by which it is turned from x to y, in radians.
        points: how many.
    """
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    x, y = radii[0] * np.cos(turn), radii[1] * np.sin(turn)
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.stack([centre[0] + cosine * x - sine * y, centre[1] + sine * x + cosine * y], axis=1)


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("x") else "s")
