"""Nuclei that touch, taken apart."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.areas import CERTAIN, EIGHT_NEIGHBOURS, padded
from monai_seunet.slides.nuclei.rules import PixelRules


def split_nuclei(mask: np.ndarray, probability: np.ndarray, rules: PixelRules) -> np.ndarray:
    """Split one component into nuclei by a watershed on its distance transform times probability, smoothed.

    The probability, which is low between nuclei, parts some that the distance alone would leave joined.

    Invariant: nothing but the pixels of the mask counts; each is of one nucleus, and every nucleus is 4-connected.

    Args:
        mask: (H, W) bool, one 4-connected component; its box need not have a rim of background.
        probability: (H, W) uint8 of the foreground, in 255ths.
        rules: of this resolution.

    Returns:
        (H, W) int32; 0 is background, nuclei have other values.
    """
    from skimage.segmentation import watershed

    if np.count_nonzero(mask) < rules.whole_area:
        return mask.astype(np.int32)
    inside = padded(mask)  # beyond the box is background
    sure = np.where(probability < rules.threshold, CERTAIN, probability)  # holes that were filled make no valley
    height = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside) * padded(sure), rules.smoothing)
    peaks, count = ndimage.label(
        (height == ndimage.maximum_filter(height, 2 * rules.spacing + 1)) & inside, EIGHT_NEIGHBOURS
    )
    if count < 2:
        return mask.astype(np.int32)
    basins = watershed(-height, peaks, mask=inside)
    return join_shallow(basins, height, rules.saddle)[1:-1, 1:-1]


def join_shallow(basins: np.ndarray, height: np.ndarray, saddle: float) -> np.ndarray:
    """Join basins between which the height hardly goes down, the highest saddle first.

    Args:
        basins: (H, W) int32 labels from 1; 0 is background.
        height: (H, W), positive within basins.
        saddle: two basins are joined where the highest point of their border lies above this share of the lower of
            their peaks.

    Returns:
        (H, W) int32, of each joined area the label of its highest basin.
    """
    count = int(basins.max())
    peaks = [0.0, *np.atleast_1d(ndimage.maximum(height, basins, np.arange(1, count + 1))).tolist()]
    root = list(range(count + 1))
    for level, first, second in _saddles(basins, height):
        one, other = _root(root, first), _root(root, second)
        if one != other and level > saddle * min(peaks[one], peaks[other]):
            if (peaks[one], -one) < (peaks[other], -other):
                one, other = other, one
            root[other] = one
    return np.array([_root(root, label) for label in range(count + 1)], np.int32)[basins]


def _saddles(basins: np.ndarray, height: np.ndarray) -> list[tuple[float, int, int]]:
    """The highest point of the border of every two basins, the highest first."""
    highest: dict[tuple[int, int], float] = {}
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        one, other = basins[here], basins[there]
        border = (one != other) & (one > 0) & (other > 0)
        levels = np.minimum(height[here][border], height[there][border])
        for a, b, level in zip(one[border].tolist(), other[border].tolist(), levels.tolist(), strict=True):
            pair = (a, b) if a < b else (b, a)
            highest[pair] = max(level, highest.get(pair, 0.0))
    return sorted(((level, *pair) for pair, level in highest.items()), key=lambda found: (-found[0], found[1:]))


def _root(root: list[int], label: int) -> int:
    while root[label] != label:
        label = root[label]
    return label
