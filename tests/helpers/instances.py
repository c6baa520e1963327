"""Small instance maps, and object scores by loops over pairs of masks that share no code with the package."""

from collections import deque

import numpy as np
from scipy.ndimage import gaussian_filter


def random_objects(seed: int, size: int = 40, share: float = 0.35) -> np.ndarray:
    """A mask of blobs."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((size, size)), 2)
    return field > np.quantile(field, 1 - share)


def flood_fill(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Connected areas as sets of pixels; neighbours share an edge."""
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    areas = []
    while left:
        queue, area = deque([left.pop()]), set()
        while queue:
            row, column = queue.popleft()
            area.add((row, column))
            for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if near in left:
                    left.remove(near)
                    queue.append(near)
        areas.append(area)
    return areas


def instance_sets(instances: np.ndarray) -> list[set[tuple[int, int]]]:
    """Objects of an instance map as sets of pixels."""
    return [
        {(int(r), int(c)) for r, c in np.argwhere(instances == number)} for number in np.unique(instances) if number
    ]


def pixel_scores(truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    """Scores of two masks by sets of pixels."""
    t, g = ({tuple(place) for place in np.argwhere(mask)} for mask in (truth, guess))
    return {
        "pixel_precision": len(t & g) / len(g),
        "pixel_recall": len(t & g) / len(t),
        "pixel_f1": 2 * len(t & g) / (len(t) + len(g)),
        "pixel_iou": len(t & g) / len(t | g),
    }


def scores_by_loops(truth: list[set], guess: list[set], threshold: float) -> dict[str, float]:
    """All object-wise scores, as their papers define them."""
    ious = [[len(t & g) / len(t | g) for g in guess] for t in truth]
    hits = [value for row in ious for value in row if value > threshold]
    fp, fn = len(guess) - len(hits), len(truth) - len(hits)
    shared = union = 0
    used = set()
    for row, t in zip(ious, truth, strict=True):
        best = max(range(len(guess)), key=lambda j: (row[j], len(t & guess[j])), default=None)
        if best is None or row[best] == 0:
            union += len(t)
            continue
        shared, union = shared + len(t & guess[best]), union + len(t | guess[best])
        used.add(best)
    union += sum(len(g) for j, g in enumerate(guess) if j not in used)
    return {
        "object_precision": len(hits) / len(guess),
        "object_recall": len(hits) / len(truth),
        "object_f1": 2 * len(hits) / (2 * len(hits) + fp + fn),
        "dq": len(hits) / (len(hits) + fp / 2 + fn / 2),
        "sq": sum(hits) / len(hits) if hits else float("nan"),
        "pq": sum(hits) / (len(hits) + fp / 2 + fn / 2),
        "aji": shared / union,
    }
