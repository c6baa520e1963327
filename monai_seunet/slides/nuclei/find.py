"""The nuclei of a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.areas import CERTAIN, Area, Maps, find_components, foreground_probability, measure
from monai_seunet.slides.nuclei.direct import direct_nuclei, join_small_parts, typical_part
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.nuclei.rules import SMALL, UNSURE, LeftOut, PixelRules, is_speck
from monai_seunet.slides.nuclei.split import split_nuclei


def find_nuclei(maps: Maps, rules: PixelRules, origin: tuple[int, int] = (0, 0)) -> Objects:
    """Find the nuclei of a region.

    Invariant: the nuclei of a connected component depend only on its pixels. The exception are specks, which depend on
    the objects around them; they are removed only where the µm per pixel are not known.

    Args:
        maps: outputs of the network for the region.
        rules: rules in pixels.
        origin: (y, x) of the region in the slide.

    >>> from monai_seunet.slides.nuclei.rules import NucleusRules
    >>> probability = np.zeros((1, 20, 20), np.uint8)
    >>> probability[:, 4:12, 5:15] = 255
    >>> find_nuclei(Maps(probability), NucleusRules().at(mpp=0.5)).boxes.tolist()
    [[4, 5, 12, 15]]
    """
    components = find_components(maps.probability, rules)
    objects = nuclei_of([components.area(number) for number in range(1, len(components.areas))], maps, rules, origin)
    return objects.without(is_speck(objects.areas, objects.centroids, rules.least_share))


def nuclei_of(
    components: Sequence[Area], maps: Maps, rules: PixelRules, origin: tuple[int, int], notes: tuple[str, ...] = ()
) -> Objects:
    """Split connected components into nuclei, and measure the nuclei; leave out small and uncertain areas.

    The directions of the network split the components; without directions a watershed does.

    Args:
        components: components of the region.
        maps: outputs of the network for the region.
        rules: rules in pixels.
        origin: (y, x) of the region in the slide.
        notes: remarks for the user.
    """
    large: list[Area] = []
    small: list[Area] = []
    areas: list[Area] = []
    unsure: list[Area] = []
    for component in components:
        (large if np.count_nonzero(component.mask) >= rules.min_area else small).append(component)
    probability = foreground_probability(maps.probability)
    for component, parts in zip(large, _split(large, maps, rules), strict=True):
        for label, box in enumerate(ndimage.find_objects(parts), start=1):
            if box is None:
                continue
            area = Area(parts[box] == label, component.y + box[0].start, component.x + box[1].start)
            if np.count_nonzero(area.mask) < rules.min_area:
                small.append(area)
            else:
                (areas if _is_sure(area, probability, rules) else unsure).append(area)
    objects = measure(areas, maps, origin, notes)
    return replace(objects, left_out=_left_out(small, SMALL, origin).joined(_left_out(unsure, UNSURE, origin)))


def _left_out(areas: Sequence[Area], reason: int, origin: tuple[int, int]) -> LeftOut:
    middles = np.array([(y + mask.shape[0] / 2, x + mask.shape[1] / 2) for mask, y, x in areas]).reshape(-1, 2)
    pixels = np.array([np.count_nonzero(area.mask) for area in areas], np.int64)
    return LeftOut(middles + origin, pixels, np.full(len(areas), reason, np.int8))


def _is_sure(area: Area, probability: np.ndarray, rules: PixelRules) -> bool:
    """Return whether the mean probability of an area is high enough; holes that are filled later do not count."""
    inside = area.cut(probability)[area.mask]
    return int(inside.sum(dtype=np.int64)) >= rules.min_confidence * CERTAIN * len(inside)


def _split(components: Sequence[Area], maps: Maps, rules: PixelRules) -> Sequence[np.ndarray]:
    """Return the numbered nuclei of each component, in an array of its size."""
    if maps.directions is not None:
        split = direct_nuclei(components, maps.directions)
        return [
            join_small_parts(parts, max(rules.min_area, rules.least_share * typical_part(parts))) for parts in split
        ]
    probability = foreground_probability(maps.probability)
    return [split_nuclei(area.mask, area.cut(probability), rules) for area in components]
