"""Groups of images that look alike: tiles of one picture, and pictures of one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.ndimage import gaussian_filter1d
from scipy.sparse.csgraph import connected_components
from skimage.color import rgb2lab

QUANTILES = (5, 25, 50, 75, 95)
# On the 243 images of a DSB2018 subset the agreement of borders falls in two: up to 0.82 by chance, mostly above 0.95
# where a tile goes on in the next (which with H&E gives sets of four, the 2 x 2 tiles of a picture).
CONTINUES = 0.85
# In units of CIE Lab, of which a just noticeable difference is 2.3.
ALIKE = 4.0
_SMOOTH = 10.0  # pixels; slower changes along a border are light and stain, not what the picture shows
_APART = 1e6


class Look(NamedTuple):
    """What is compared of an image.

    Attributes:
        size: (H, W).
        colours: the quantiles of L, a and b, (15,); Euclidean distances are root mean squares over the quantiles.
        borders: top, bottom, left and right row or column, without slow changes and of unit length.
    """

    size: tuple[int, int]
    colours: np.ndarray
    borders: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def look_at(image: np.ndarray) -> Look:
    """The look of an RGB image (H, W, 3), uint8."""
    colours = np.percentile(rgb2lab(image).reshape(-1, 3), QUANTILES, axis=0).ravel() / np.sqrt(len(QUANTILES))
    grey = image.mean(axis=2)
    top, bottom, left, right = (_detail(line) for line in (grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    return Look((grey.shape[0], grey.shape[1]), colours, (top, bottom, left, right))


def group_by_look(looks: Mapping[str, Look]) -> dict[str, str]:
    """Group images so that tiles of one picture, and pictures of one look, come together.

    Two images of one size are tiles of one picture where a border of one goes on in the opposite border of the other
    (correlation above 0.85 once slow changes are taken away). Pictures of one size are joined by complete linkage of
    the colours of their tiles, up to a distance of 4: no two pictures of a group differ by more.
    Invariant: depends on nothing but the images; there is no chance in it. Identical images are in one group.
    Limits: memory grows with the square of the number of images. Tiles that overlap or leave a gap are found by colour
    only. Slides stained and lit alike may share a group.

    Args:
        looks: by the name of the image.

    Returns:
        the group of every image: the first name in it.
    """
    names = sorted(looks)
    pictures = _pictures([looks[name] for name in names])
    number = pictures.max() + 1
    colours = np.stack([looks[name].colours for name in names])
    sizes = np.array([looks[name].size for name in names])
    centres = np.stack([colours[pictures == picture].mean(axis=0) for picture in range(number)])
    sides = np.stack([sizes[pictures == picture][0] for picture in range(number)])
    features = np.hstack([centres, _APART * sides])
    groups = fcluster(linkage(features, "complete"), ALIKE, "distance")[pictures] if number > 1 else pictures
    first = {group: name for name, group in reversed(list(zip(names, groups.tolist(), strict=True)))}
    return {name: first[group] for name, group in zip(names, groups.tolist(), strict=True)}


def _pictures(looks: Sequence[Look]) -> np.ndarray:
    """The number of the picture that each image is a tile of."""
    joined = np.zeros((len(looks), len(looks)), dtype=bool)
    for size in {look.size for look in looks}:
        members = np.flatnonzero([look.size == size for look in looks])
        top, bottom, left, right = (np.stack([looks[int(i)].borders[side] for i in members]) for side in range(4))
        goes_on = (bottom @ top.T > CONTINUES) | (right @ left.T > CONTINUES)
        joined[np.ix_(members, members)] = goes_on
    return connected_components(joined, directed=False)[1]


def _detail(line: np.ndarray) -> np.ndarray:
    detail = line - gaussian_filter1d(line, _SMOOTH)
    detail -= detail.mean()
    return detail / max(float(np.linalg.norm(detail)), 1e-9)
