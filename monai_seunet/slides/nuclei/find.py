"""Nuclei of a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.direct import direct_nuclei, join_crumbs
from monai_seunet.slides.nuclei.foreground import Area, find_components, foreground_probability
from monai_seunet.slides.nuclei.measure import Maps, measure
from monai_seunet.slides.nuclei.rules import PixelRules
from monai_seunet.slides.nuclei.split import split_nuclei
from monai_seunet.slides.objects import Objects


def find_nuclei(maps: Maps, rules: PixelRules, origin: tuple[int, int] = (0, 0)) -> Objects:
    """Find the nuclei of a region.

    Law: those of a connected component depend on its own pixels only, wherever it lies and whatever is around.

    Args:
        maps: of the region.
        rules: of this resolution.
        origin: (y, x) of the region in the slide.
    """
    found = find_components(maps.probability, rules)
    return nuclei_of([found.area(number) for number in range(1, len(found.areas))], maps, rules, origin)


def nuclei_of(
    components: Sequence[Area], maps: Maps, rules: PixelRules, origin: tuple[int, int], notes: tuple[str, ...] = ()
) -> Objects:
    """Split connected components into nuclei, and measure these; what is below the least area is left out.

    They are split by the directions where the network gives them, else by a watershed.

    Args:
        components: of the region.
        maps: of the region.
        rules: of this resolution.
        origin: (y, x) of the region in the slide.
        notes: remarks for the user.
    """
    large = [component for component in components if np.count_nonzero(component.mask) >= rules.min_area]
    dropped = len(components) - len(large)
    areas: list[Area] = []
    for component, parts in zip(large, _split(large, maps, rules), strict=True):
        for label, box in enumerate(ndimage.find_objects(parts), start=1):
            if box is None:
                continue
            mask = parts[box] == label
            if np.count_nonzero(mask) >= rules.min_area:
                areas.append(Area(mask, component.y + box[0].start, component.x + box[1].start))
            else:
                dropped += 1
    objects = measure(areas, maps, origin, notes)
    whole = objects.areas >= rules.least_areas(objects.groups)
    return replace(objects.select(whole), dropped=dropped + int((~whole).sum()))


def _split(components: Sequence[Area], maps: Maps, rules: PixelRules) -> Sequence[np.ndarray]:
    """The nuclei of each component, numbered in an array of its size."""
    if maps.directions is not None:
        return [join_crumbs(parts, rules.min_area) for parts in direct_nuclei(components, maps.directions)]
    probability = foreground_probability(maps.probability)
    parts = []
    for mask, y, x in components:
        height, width = mask.shape
        parts.append(split_nuclei(mask, probability[y : y + height, x : x + width], rules))
    return parts
