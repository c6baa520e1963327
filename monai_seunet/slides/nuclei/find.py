"""Nuclei of a region."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.foreground import find_components
from monai_seunet.slides.nuclei.measure import Area, Maps, measure
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
    areas: list[Area] = []
    for number, box in enumerate(found.slices, start=1):
        if found.areas[number] >= rules.min_area:
            areas += nuclei_of(Area(found.labels[box] == number, box[0].start, box[1].start), found.probability, rules)
    return measure(areas, maps, origin)


def nuclei_of(component: Area, probability: np.ndarray, rules: PixelRules) -> Iterator[Area]:
    """Split one connected component; parts below the least area are left out.

    Args:
        component: of a region.
        probability: (H, W) uint8 of the foreground of the region, in 255ths.
        rules: of this resolution.
    """
    if np.count_nonzero(component.mask) < rules.min_area:
        return
    height, width = component.mask.shape
    own = probability[component.y : component.y + height, component.x : component.x + width]
    parts = split_nuclei(component.mask, own, rules)
    for label, box in enumerate(ndimage.find_objects(parts), start=1):
        if box is None:
            continue
        mask = parts[box] == label
        if np.count_nonzero(mask) >= rules.min_area:
            yield Area(mask, component.y + box[0].start, component.x + box[1].start)
