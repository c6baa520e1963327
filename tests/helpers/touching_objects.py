"""Instance maps of objects that touch, and the true directions to their centres."""

import math

import numpy as np
import torch

from monai_seunet.metrics.objects.overlaps import aggregated_jaccard, object_overlaps
from monai_seunet.slides.nuclei.direct import ONE
from monai_seunet.transforms import CentreDirections

Shape = tuple[float, float, float, float, float]


def ellipses(side: int, shapes: list[Shape]) -> np.ndarray:
    """Number ellipses of (y, x, semi-axis, semi-axis, angle); where two overlap, the border lies between them."""
    rows, columns = np.mgrid[:side, :side]
    depths = []
    for y, x, along, across, angle in shapes:
        u = (rows - y) * math.cos(angle) + (columns - x) * math.sin(angle)
        v = (columns - x) * math.cos(angle) - (rows - y) * math.sin(angle)
        depths.append((u / along) ** 2 + (v / across) ** 2)
    depth = np.array(depths)
    return np.where(depth.min(0) < 1, depth.argmin(0) + 1, 0)


def triangle(radius: float) -> np.ndarray:
    """Three discs that lie so deep in each other that their union is roundest in its middle."""
    side = int(4.4 * radius) + 8
    away, angles = 1.1 * radius / math.sqrt(3), [0.3 + n * 2 * math.pi / 3 for n in range(3)]
    places = [(side / 2 + away * math.sin(t), side / 2 + away * math.cos(t)) for t in angles]
    return ellipses(side, [(y, x, radius, radius, 0) for y, x in places])


def row(radius: float) -> np.ndarray:
    """Four ellipses side by side, which share most of their long sides; the least semi-axis is 0.7 of the radius."""
    across, angle = 0.7 * radius, 0.4
    side = int(2 * radius + 6 * across) + 12
    ways = [(n - 1.5) * 1.5 * across for n in range(4)]
    places = [(side / 2 - way * math.sin(angle), side / 2 + way * math.cos(angle)) for way in ways]
    return ellipses(side, [(y, x, radius, across, angle) for y, x in places])


def pair(radius: float) -> np.ndarray:
    """A large disc, and one of 0.45 of its radius that touches it."""
    side = int(4 * radius) + 10
    y, x = side / 2, side / 2 - 0.4 * radius
    return ellipses(
        side, [(y, x, radius, radius, 0), (y + 0.2 * radius, x + 1.3 * radius, 0.45 * radius, 0.45 * radius, 0)]
    )


def true_directions(numbers: np.ndarray) -> torch.Tensor:
    """Directions (2, H, W) of an instance map in which the border cuts nothing."""
    found = CentreDirections()(torch.from_numpy(numbers)[None])
    assert torch.equal(found[2], torch.from_numpy(numbers > 0).float())
    return found[:2]


def smooth_directions(seed: int, size: tuple[int, int], sigma: float) -> torch.Tensor:
    """Directions (2, H, W) that have nothing to do with any object."""
    from scipy import ndimage

    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((2, *size)), (0, sigma, sigma))
    return torch.from_numpy(field / np.maximum(np.hypot(*field), field.std())).float()


def in_canvas(numbers: np.ndarray, size: tuple[int, int], corner: tuple[int, int]) -> np.ndarray:
    """An instance map laid on an empty one, its first pixel at the corner."""
    canvas = np.zeros(size, numbers.dtype)
    canvas[corner[0] : corner[0] + numbers.shape[0], corner[1] : corner[1] + numbers.shape[1]] = numbers
    return canvas


def laid_out(size: tuple[int, int], parts: dict[tuple[int, int], np.ndarray]) -> tuple[np.ndarray, torch.Tensor]:
    """One instance map of several by their corners, each object with a number of its own, and its directions."""
    numbers, towards = np.zeros(size, np.int64), torch.zeros(2, *size)
    for corner, part in parts.items():
        laid = in_canvas(part, size, corner)
        assert not (numbers * laid).any(), "they lie apart"
        numbers = np.where(laid > 0, laid + numbers.max(), numbers)
        towards += true_directions(laid)
    return numbers, towards


def in_8_bits(directions: torch.Tensor) -> np.ndarray:
    """Directions as the maps of a slide hold them."""
    return (directions.clamp(-1, 1) * ONE).round().to(torch.int8).numpy()


def agreement(found: np.ndarray, truth: np.ndarray) -> float:
    """The aggregated Jaccard index."""
    intersection, union = aggregated_jaccard(object_overlaps(truth, found))
    return intersection / union
