"""Small maps with nuclei, for tests of what is made of them."""

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.areas import Maps
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.nuclei.rules import NucleusRules

RULES = NucleusRules(min_area=2, radius=2, hole=1.5).at(0.5)


def discs(size: tuple[int, int], *circles: tuple[float, float, float]) -> np.ndarray:
    """Mask of circles of (y, x, radius)."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.any([(rows - y) ** 2 + (columns - x) ** 2 < r**2 for y, x, r in circles], axis=0)


def maps_of(mask: np.ndarray, group: int = 0) -> Maps:
    """Maps that are certain of a mask."""
    return Maps(np.uint8(255) * mask[None].astype(np.uint8), np.full(mask.shape, group, np.uint8))


def random_maps(seed: int, size: tuple[int, int] = (150, 190), level: float = 60) -> Maps:
    """Two classes of connected blobs, and groups 0 to 4 with gaps."""
    draw = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(draw.standard_normal((2, *size)), (0, 2 + seed % 3, 2 + seed % 3))
    groups = draw.integers(0, 6, size).astype(np.uint8)
    groups[groups == 5] = 255
    return Maps(np.clip(level + 60 * field / field.std(), 0, 255).astype(np.uint8), groups)


def painted(objects: Objects, size: tuple[int, int]) -> np.ndarray:
    """Instance map, numbered from 1 in the order of the nuclei, small ones on top."""
    label = np.zeros(size, np.int64)
    for k in np.argsort(-objects.areas, kind="stable"):
        y0, x0, y1, x1 = objects.boxes[k]
        label[y0:y1, x0:x1][objects.masks[k]] = k + 1
    return label


def rows_of(*parts: Objects) -> dict[tuple[int, int], tuple]:
    """Everything about every nucleus as plain values, by its first pixel."""
    found = {}
    for part in parts:
        for k, first in enumerate(map(tuple, part.first_pixels.tolist())):
            assert first not in found, "counted twice"
            found[first] = (
                tuple(part.boxes[k]),
                part.masks[k].tobytes(),
                part.contours[k].tobytes(),
                int(part.areas[k]),
                tuple(part.centroids[k]),
                int(part.classes[k]),
                float(part.confidences[k]),
                int(part.groups[k]),
                *(float(getattr(part, name)[k]) for name in ("perimeters", "eccentricities", "solidities")),
                str(part.densities[k]),  # unlike NaN, its name equals itself
            )
    return found
