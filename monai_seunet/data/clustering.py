"""Clustering of images by appearance: tiles of one picture, and pictures of similar colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.ndimage import gaussian_filter1d
from scipy.sparse.csgraph import connected_components
from skimage.color import rgb2lab

QUANTILES = (5, 25, 50, 75, 95)
# The correlation of borders in 243 images of DSB2018 forms two clusters: at most 0.82 for unrelated images, and mostly
# above 0.95 for neighbouring tiles (which form sets of four in H&E, the 2 x 2 tiles of a picture).
CONTINUES = 0.85
ALIKE = 4.0  # distance in CIE Lab, where a just noticeable difference is 2.3
_SMOOTH = 10.0  # pixels; slower changes along a border come from illumination and stain
_APART = 1e6


class Look(NamedTuple):
    """Features of the appearance of an image.

    Attributes:
        size: (H, W) in pixels.
        colours: scaled quantiles (15,) of L, a and b; Euclidean distances are root mean squares over the quantiles.
        borders: top, bottom, left and right line of pixels, high-pass filtered and of unit length.
    """

    size: tuple[int, int]
    colours: np.ndarray
    borders: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def look_at(image: np.ndarray) -> Look:
    """Compute the features of an RGB image (H, W, 3), uint8."""
    colours = np.percentile(rgb2lab(image).reshape(-1, 3), QUANTILES, axis=0).ravel() / np.sqrt(len(QUANTILES))
    grey = image.mean(axis=2)
    top, bottom, left, right = (_detail(line) for line in (grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    return Look((grey.shape[0], grey.shape[1]), colours, (top, bottom, left, right))


def group_by_look(looks: Mapping[str, Look]) -> dict[str, str]:
    """Group the tiles of one picture, and pictures of similar colours.

    Two images of equal size are tiles of one picture if a border of one correlates with the opposite border of the
    other by more than 0.85 after a high-pass filter. Pictures whose tiles have equal size are joined by complete
    linkage of the mean colours of their tiles: no two pictures of a group differ by more than 4 (CIE Lab).
    Invariant: deterministic; identical images are in one group.
    Limits: the memory is quadratic in the number of images. Tiles that overlap or leave a gap are grouped only by
    colour. Slides with similar stain and illumination may share a group.

    Args:
        looks: features of the images by name.

    Returns:
        name of the group of every image: the name of the first image in the group.
    """
    names = sorted(looks)
    pictures = _pictures([looks[name] for name in names])
    count = pictures.max() + 1
    colours = np.stack([looks[name].colours for name in names])
    sizes = np.array([looks[name].size for name in names])
    centres = np.stack([colours[pictures == picture].mean(axis=0) for picture in range(count)])
    sides = np.stack([sizes[pictures == picture][0] for picture in range(count)])
    features = np.hstack([centres, _APART * sides])
    groups = fcluster(linkage(features, "complete"), ALIKE, "distance")[pictures] if count > 1 else pictures
    first = {group: name for name, group in reversed(list(zip(names, groups.tolist(), strict=True)))}
    return {name: first[group] for name, group in zip(names, groups.tolist(), strict=True)}


def _pictures(looks: Sequence[Look]) -> np.ndarray:
    """Return the index of the picture that contains each image as a tile."""
    adjacent = np.zeros((len(looks), len(looks)), dtype=bool)
    for size in {look.size for look in looks}:
        members = np.flatnonzero([look.size == size for look in looks])
        top, bottom, left, right = (np.stack([looks[int(i)].borders[side] for i in members]) for side in range(4))
        adjacent[np.ix_(members, members)] = (bottom @ top.T > CONTINUES) | (right @ left.T > CONTINUES)
    return connected_components(adjacent, directed=False)[1]


def _detail(line: np.ndarray) -> np.ndarray:
    detail = line - gaussian_filter1d(line, _SMOOTH)
    detail -= detail.mean()
    return detail / max(float(np.linalg.norm(detail)), 1e-9)
