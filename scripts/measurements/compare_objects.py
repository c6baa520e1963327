"""Compare the nuclei of two runs of one slide: count those without a partner in the other run, by reason.

python scripts/measurements/compare_objects.py segmented/a other/a

The IoU of partners is at least 0.5. The outlines come from objects.geojson.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import shapely

from monai_seunet.slides.nuclei.rules import LEAST_AREA

PARTNERS = 0.5  # IoU
NEAR = 0.25  # share of the smallest area, and of the range from the threshold to 1, that counts as near


def load(folder: Path) -> tuple[np.ndarray, list[dict], dict]:
    """Read the polygons, measurements and options of a run."""
    content = json.loads((folder / "objects.geojson").read_text(encoding="utf-8"))
    plan = json.loads((folder / "result.json").read_text(encoding="utf-8"))["plan"]
    features = content["features"]
    polygons = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in features])
    return polygons, [feature["properties"]["measurements"] for feature in features], plan


def overlaps(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices in both runs, and the IoU, of all pairs that intersect."""
    i, j = shapely.STRtree(second).query(first, predicate="intersects")
    shared = shapely.area(shapely.intersection(first[i], second[j]))
    return i, j, shared / (shapely.area(first[i]) + shapely.area(second[j]) - shared)


def reason(index: int, measured: dict, touching: np.ndarray, plan: dict) -> str:
    """Return the reason why a nucleus has no partner."""
    area = next(value for name, value in measured.items() if name.startswith("Area"))
    if (touching == index).sum() > 1:
        return "split or joined"
    least = plan["nuclei"]["min_area"]
    if area < (1 + NEAR) * (LEAST_AREA if least is None else least):
        return "near the smallest area"
    threshold = plan["nuclei"]["threshold"]
    if measured["Confidence"] < threshold + NEAR * (1 - threshold):
        return "near the threshold"
    return "different outline" if (touching == index).any() else "found once"


def main() -> None:
    """Print the numbers of nuclei without a partner by reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, help="folder of a slide's results")
    parser.add_argument("second", type=Path)
    options = parser.parse_args()

    first, second = load(options.first), load(options.second)
    first_indices, second_indices, iou = overlaps(first[0], second[0])
    partners = iou >= PARTNERS
    total, without = 0, Counter()
    for (polygons, measured, plan), touching in ((first, first_indices), (second, second_indices)):
        total += len(polygons)
        for index in sorted(set(range(len(polygons))) - set(touching[partners].tolist())):
            without[reason(index, measured[index], touching, plan)] += 1
    differ = sum(without.values())
    share = f"{differ} without a partner ({100 * differ / max(total, 1):.2f} %)"
    print(f"{len(first[0])} and {len(second[0])} nuclei; {share}")
    print(f"mean IoU of partners {iou[partners].mean():.4f}; {(iou[partners] == 1).mean():.1%} are the same")
    for why, count in without.most_common():
        print(f"  {count:4d} {why}")


if __name__ == "__main__":
    main()
