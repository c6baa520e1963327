"""Nuclei of a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.direct import direct_nuclei, join_crumbs
from monai_seunet.slides.nuclei.foreground import Area, find_components, foreground_probability
from monai_seunet.slides.nuclei.measure import NO_GROUP, Maps, measure
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
    large: list[Area] = []
    small: list[Area] = []
    areas: list[Area] = []
    for component in components:
        (large if np.count_nonzero(component.mask) >= rules.min_area else small).append(component)
    for component, parts in zip(large, _split(large, maps, rules), strict=True):
        for label, box in enumerate(ndimage.find_objects(parts), start=1):
            if box is None:
                continue
            area = Area(parts[box] == label, component.y + box[0].start, component.x + box[1].start)
            (areas if np.count_nonzero(area.mask) >= rules.min_area else small).append(area)
    objects = measure(areas, maps, origin, notes)
    whole = objects.areas >= rules.least_areas(objects.groups)
    middles = np.array([(y + mask.shape[0] / 2, x + mask.shape[1] / 2) for mask, y, x in small]).reshape(-1, 2)
    return replace(objects.select(whole), left_out=np.concatenate([middles + origin, objects.centroids[~whole]]))


def _split(components: Sequence[Area], maps: Maps, rules: PixelRules) -> Sequence[np.ndarray]:
    """The nuclei of each component, numbered in an array of its size."""
    if maps.directions is not None:
        found = zip(components, direct_nuclei(components, maps.directions), strict=True)
        return [join_crumbs(parts, _least_area(component, maps, rules)) for component, parts in found]
    probability = foreground_probability(maps.probability)
    parts = []
    for mask, y, x in components:
        height, width = mask.shape
        parts.append(split_nuclei(mask, probability[y : y + height, x : x + width], rules))
    return parts


def _least_area(component: Area, maps: Maps, rules: PixelRules) -> float:
    """Least pixels of a nucleus that the group decided which won most of a component."""
    if maps.groups is None or rules.group_areas is None:
        return rules.min_area
    height, width = component.mask.shape
    groups = maps.groups[component.y : component.y + height, component.x : component.x + width][component.mask]
    votes = np.bincount(groups[groups != NO_GROUP], minlength=1)
    return float(rules.least_areas(np.array([votes.argmax() if votes.any() else -1]))[0])
