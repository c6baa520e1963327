"""Grouping of pixels into nuclei by the directions to their centres, in operations that TorchScript takes.

The functions do what `slides.nuclei` does with arrays, for the maps of one tile.
"""

from __future__ import annotations

import torch
from torch import nn

from monai_seunet.export.scripted.components import fill_objects, fill_small_holes, number_components
from monai_seunet.slides.nuclei.areas import CERTAIN
from monai_seunet.slides.nuclei.direct import BATCH_CELLS, CELLS_PER_PIXEL, ONE, SIDES, TYPICAL_CELLS, group_pixels
from monai_seunet.slides.nuclei.rules import NEIGHBOURS, PixelRules

CHUNK = 512  # number of objects whose distances to all others are in memory at once


class NucleusGrouping(nn.Module):
    """Groups the pixels of the maps of a tile into nuclei, as `find_nuclei` does.

    Shapes: probability (H, W) int64 in 255ths, directions (2, H, W) float from -127 to 127, groups (H, W) int64 ->
    labels (H, W) int64 from 1, and a table (K, 2) float of confidences and scale groups from 1.
    Invariant: equal to `find_nuclei`, except for pixels of small parts that are equally near to two nuclei, and for
    nuclei in a hole of another one.
    Limits: tiles up to 16,384 pixels a side. It runs on a CPU, because it needs float64.

    Args:
        rules: rules in pixels; `smoothing`, `spacing` and `saddle` are for networks without directions.
        num_scales: number of scale groups.
    """

    def __init__(self, rules: PixelRules, num_scales: int) -> None:
        super().__init__()
        self.threshold, self.hole = float(rules.threshold), int(rules.hole)
        self.least_area, self.least_share = float(rules.min_area), float(rules.least_share)
        self.least_sum = float(rules.min_confidence) * CERTAIN
        self.certain, self.one, self.num_scales = CERTAIN, ONE, num_scales
        self.sides: list[int] = list(SIDES)
        self.batch_cells, self.typical_cells = BATCH_CELLS, TYPICAL_CELLS
        self.coarse, self.fine = CELLS_PER_PIXEL

    def forward(
        self, probability: torch.Tensor, directions: torch.Tensor, groups: torch.Tensor, least_area: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels and table of the nuclei; `least_area` takes the place of the least area of the rules if it is >= 0."""
        least_share = self.least_share if least_area < 0 else 0.0
        least_area = self.least_area if least_area < 0 else least_area
        mask = fill_small_holes(probability >= self.threshold, self.hole)
        components = number_components(mask.long())
        large = torch.bincount(components.flatten()) >= least_area
        large[0] = False
        components = number_components(components * large[components])
        parts = self._parts(components, directions)
        labels = _join_small_parts(parts, components, least_area, least_share)
        areas = torch.bincount(labels.flatten())
        sums = torch.bincount(labels.flatten(), probability.flatten().double())
        kept = (areas >= least_area) & (sums >= self.least_sum * areas)
        labels = fill_objects(_renumbered(labels, kept))
        labels = _renumbered(labels, ~_specks(labels, least_share))
        return labels, self._table(labels, probability, groups)

    def _table(self, labels: torch.Tensor, probability: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """Mean foreground probability, and scale group with the most pixels, of each nucleus."""
        count = int(labels.max()) + 1
        areas = torch.bincount(labels.flatten(), minlength=count)
        sums = torch.bincount(labels.flatten(), probability.flatten().double(), minlength=count)
        votes = torch.bincount((labels * self.num_scales + groups).flatten(), minlength=count * self.num_scales)
        winners = votes.view(count, self.num_scales).max(1)[1] + 1
        return torch.stack([sums / (self.certain * areas), winners.double()], 1)[1:].float()

    def _parts(self, components: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        """Number the 4-connected parts of components whose directions lead to one centre."""
        width = components.shape[1]
        pixel = components.flatten().nonzero().squeeze(1)
        if pixel.numel() == 0:
            return components
        owner = components.flatten()[pixel] - 1
        row, column = torch.div(pixel, width, rounding_mode="floor"), pixel % width
        count = int(owner.max()) + 1
        top, bottom = _extremes(row, owner, count)
        left, right = _extremes(column, owner, count)
        extent = torch.maximum(bottom - top, right - left) + 1
        y, x = row - top[owner], column - left[owner]
        towards = (directions.flatten(1)[:, pixel] / self.one).float()
        ends = self._ends(torch.zeros_like(owner), owner, y, x, towards, extent, self.coarse)
        parts = number_components(_keys(components, pixel, owner, ends))
        fine = self.coarse * self.coarse * _typical_areas(parts, components) < self.typical_cells
        if bool(fine.any()):
            extent = torch.where(fine, extent, torch.zeros_like(extent))
            ends = self._ends(ends, owner, y, x, towards, extent, self.fine)
            parts = number_components(_keys(components, pixel, owner, ends))
        return parts

    def _ends(
        self,
        ends: torch.Tensor,
        owner: torch.Tensor,
        y: torch.Tensor,
        x: torch.Tensor,
        towards: torch.Tensor,
        extent: torch.Tensor,
        cells: int,
    ) -> torch.Tensor:
        """Return the number of the end of each pixel in the canvas of its component; extent 0 leaves it as it is."""
        ends = ends.clone()
        smaller = 0
        for side in self.sides:
            chosen = ((extent > smaller) & (extent <= side)).nonzero().squeeze(1)
            smaller = side
            size = max(1, self.batch_cells // (side * cells * side * cells))
            for start in range(0, chosen.numel(), size):
                batch = chosen[start : start + size]
                slot = torch.full_like(extent, -1)
                slot[batch] = torch.arange(batch.numel(), device=extent.device)
                inside = (slot[owner] >= 0).nonzero().squeeze(1)
                here = (slot[owner[inside]] * side + y[inside]) * side + x[inside]
                mask = torch.zeros(batch.numel() * side * side, dtype=torch.bool, device=extent.device)
                mask[here] = True
                field = torch.zeros(2, batch.numel() * side * side, device=extent.device)
                field[:, here] = towards[:, inside]
                shape = [batch.numel(), side, side]
                fields = field.view(2, batch.numel(), side, side).transpose(0, 1).contiguous()
                ends[inside] = group_pixels(mask.view(shape), fields, cells).flatten()[here]
        return ends


def _extremes(place: torch.Tensor, owner: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the least and the largest place (count,) of the pixels of each owner."""
    least = torch.full([count], int(place.max()) + 1, dtype=torch.int64, device=place.device)
    return least.scatter_reduce(0, owner, place, "amin"), torch.zeros_like(least).scatter_reduce(
        0, owner, place, "amax"
    )


def _keys(components: torch.Tensor, pixel: torch.Tensor, owner: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Return values (H, W) that are equal where component and end are equal; 0 is background."""
    keys = torch.zeros_like(components).flatten()
    keys[pixel] = owner * (ends.max() + 1) + ends + 1
    return keys.view(components.shape)


def _owners(parts: torch.Tensor, components: torch.Tensor) -> torch.Tensor:
    """Return the component, from 0, of each part."""
    owners = torch.zeros([int(parts.max()) + 1], dtype=torch.int64, device=parts.device)
    return owners.scatter_reduce(0, parts.flatten(), components.flatten(), "amax")[1:] - 1


def _typical_areas(parts: torch.Tensor, components: torch.Tensor) -> torch.Tensor:
    """Return the median area, weighted by area, of the parts of each component."""
    areas, owner = torch.bincount(parts.flatten())[1:], _owners(parts, components)
    order = (owner * (areas.max() + 1) + areas).argsort()
    ordered, whose = areas[order], owner[order]
    number = torch.bincount(owner)
    pixels = torch.bincount(owner, areas.double()).long()
    before = (pixels.cumsum(0) - pixels)[whose]
    below = 2 * (ordered.cumsum(0) - before) < pixels[whose]
    return ordered[number.cumsum(0) - number + torch.bincount(whose, below.double()).long()]


def _join_small_parts(
    parts: torch.Tensor, components: torch.Tensor, least_area: float, least_share: float
) -> torch.Tensor:
    """Join parts that are too small to the parts beside them; if all parts of a component are too small, join all."""
    if int(parts.max()) == 0:
        return parts
    areas, owner = torch.bincount(parts.flatten())[1:], _owners(parts, components)
    least = (least_share * _typical_areas(parts, components).double()).clamp(min=least_area)
    large = areas >= least[owner]
    none_large = torch.bincount(owner, large.double()) == 0
    numbers = torch.arange(1, areas.numel() + 1, device=parts.device)
    first = torch.full_like(none_large, areas.numel() + 1, dtype=torch.int64).scatter_reduce(0, owner, numbers, "amin")
    kept = torch.where(large, numbers, torch.where(none_large[owner], first[owner], torch.zeros_like(numbers)))
    labels = torch.cat([torch.zeros_like(kept[:1]), kept])[parts]
    missing = (parts > 0) & (labels == 0)
    far = int(labels.max()) + 1
    while bool(missing.any()):
        near = torch.full([labels.shape[0] + 2, labels.shape[1] + 2], far, dtype=torch.int64, device=labels.device)
        near[1:-1, 1:-1] = torch.where(labels > 0, labels, torch.full_like(labels, far))
        beside = torch.minimum(
            torch.minimum(near[:-2, 1:-1], near[2:, 1:-1]), torch.minimum(near[1:-1, :-2], near[1:-1, 2:])
        )
        labels = torch.where(missing & (beside < far), beside, labels)
        missing = (parts > 0) & (labels == 0)
    return labels


def _renumbered(labels: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Set labels that are not kept to 0, and number the others in raster order of their first pixels."""
    kept = kept.clone()
    kept[0] = False
    pixels = torch.arange(labels.numel(), device=labels.device)
    first = torch.full([kept.numel()], labels.numel(), dtype=torch.int64, device=labels.device)
    first = first.scatter_reduce(0, labels.flatten(), pixels, "amin")
    first = torch.where(kept, first, torch.full_like(first, labels.numel()))
    return ((first.argsort().argsort() + 1) * kept)[labels]


def _specks(labels: torch.Tensor, share: float, neighbours: int = NEIGHBOURS, chunk: int = CHUNK) -> torch.Tensor:
    """Return whether each label, 0 included, has less than a share of the typical area around it, as `is_speck`."""
    count = int(labels.max())
    specks = torch.zeros([count + 1], dtype=torch.bool, device=labels.device)
    if share == 0 or count == 0:
        return specks
    areas = torch.bincount(labels.flatten())[1:]
    place = labels.nonzero()
    owner = labels[place[:, 0], place[:, 1]] - 1
    y = torch.bincount(owner, place[:, 0].double()) / areas
    x = torch.bincount(owner, place[:, 1].double()) / areas
    for start in range(0, count, chunk):
        distance = (y[start : start + chunk].unsqueeze(1) - y) ** 2 + (x[start : start + chunk].unsqueeze(1) - x) ** 2
        nearest = distance.topk(min(neighbours, count), largest=False)[1]
        around = areas[nearest].sort(1)[0]
        pixels = around.cumsum(1)
        middle = (2 * pixels < pixels[:, -1:]).sum(1, keepdim=True)
        typical = around.gather(1, middle).squeeze(1)
        specks[1 + start : 1 + start + chunk] = areas[start : start + chunk] < share * typical
    return specks
