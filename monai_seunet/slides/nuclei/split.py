"""Separation of touching nuclei by a watershed."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.areas import CERTAIN
from monai_seunet.slides.nuclei.outline import EIGHT_NEIGHBOURS, padded
from monai_seunet.slides.nuclei.rules import PixelRules


def split_nuclei(mask: np.ndarray, probability: np.ndarray, rules: PixelRules) -> np.ndarray:
    """Split one component into nuclei by a watershed on the smoothed product of distance transform and probability.

    The probability is low between nuclei. It separates some nuclei that the distance alone would join.
    Invariant: only the pixels of the mask count. Each belongs to one nucleus, and every nucleus is 4-connected.

    Args:
        mask: one 4-connected component (H, W) bool; a rim of background is not needed.
        probability: foreground probability (H, W) uint8, in 255ths.
        rules: rules in pixels.

    Returns:
        Labels (H, W) int32; 0 is background.
    """
    from skimage.segmentation import watershed

    if np.count_nonzero(mask) < rules.whole_area:
        return mask.astype(np.int32)
    inside = padded(mask)  # the distance to the border of the box counts, too
    sure = np.where(probability < rules.threshold, CERTAIN, probability)  # filled holes must not make a valley
    height = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside) * padded(sure), rules.smoothing)
    peaks, count = ndimage.label(
        (height == ndimage.maximum_filter(height, 2 * rules.spacing + 1)) & inside, EIGHT_NEIGHBOURS
    )
    if count < 2:
        return mask.astype(np.int32)
    basins = watershed(-height, peaks, mask=inside)
    return join_shallow(basins, height, rules.saddle)[1:-1, 1:-1]


def join_shallow(basins: np.ndarray, height: np.ndarray, saddle: float) -> np.ndarray:
    """Join basins with a high saddle between them, the highest saddle first.

    Args:
        basins: labels (H, W) int32 from 1; 0 is background.
        height: height (H, W), positive within basins.
        saddle: share of the lower of two peaks; a higher saddle joins the basins.

    Returns:
        Labels (H, W) int32; a joined area has the label of its highest basin.
    """
    count = int(basins.max())
    peaks = [0.0, *np.atleast_1d(ndimage.maximum(height, basins, np.arange(1, count + 1))).tolist()]
    root = list(range(count + 1))
    for level, first, second in _saddles(basins, height):
        higher, lower = _root(root, first), _root(root, second)
        if higher != lower and level > saddle * min(peaks[higher], peaks[lower]):
            if (peaks[higher], -higher) < (peaks[lower], -lower):
                higher, lower = lower, higher
            root[lower] = higher
    return np.array([_root(root, label) for label in range(count + 1)], np.int32)[basins]


def _saddles(basins: np.ndarray, height: np.ndarray) -> list[tuple[float, int, int]]:
    """Return the highest point of the border of every two basins, sorted from high to low."""
    highest: dict[tuple[int, int], float] = {}
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        one, other = basins[here], basins[there]
        border = (one != other) & (one > 0) & (other > 0)
        levels = np.minimum(height[here][border], height[there][border])
        for a, b, level in zip(one[border].tolist(), other[border].tolist(), levels.tolist(), strict=True):
            pair = (a, b) if a < b else (b, a)
            highest[pair] = max(level, highest.get(pair, 0.0))
    return sorted(((level, *pair) for pair, level in highest.items()), key=lambda saddle: (-saddle[0], saddle[1:]))


def _root(root: list[int], label: int) -> int:
    while root[label] != label:
        label = root[label]
    return label
