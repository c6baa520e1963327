"""Outlines of nuclei as COCO JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geojson import outlines
from monai_seunet.slides.outputs.geometry import Numbered, SlideGeometry, number_objects
from monai_seunet.utils.files import atomic_write


def write_coco(path: str | Path, blocks: Iterable[Objects], geometry: SlideGeometry) -> Path:
    """Write one annotation for every nucleus, in pixels (x, y) of the slide's finest level.

    The image has the size of the whole slide, also for a region. The id of an annotation is the number in the label
    image. `score` is the confidence.
    Limits: coordinates are rounded to 0.01. Only one block is held in memory.

    Args:
        path: path with the ending .json.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.

    References:
        https://cocodataset.org/#format-data, and #format-results for `score`.
    """
    path = Path(path)
    height, width = geometry.base_size
    head = {
        "info": {"description": f"Nuclei of {geometry.name}"},
        "licenses": [],
        "images": [{"id": 1, "file_name": geometry.name, "height": height, "width": width}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(geometry.classes, start=1)],
    }
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "annotations": [')
        separator = "\n"
        for part in number_objects(blocks, geometry):
            for annotation in _annotations(part, geometry):
                file.write(separator + annotation)
                separator = ",\n"
        file.write("\n]}\n")
    return path


def _annotations(part: Numbered, geometry: SlideGeometry) -> Iterator[str]:
    import shapely

    objects = part.objects
    polygons = outlines(objects, geometry)
    areas = np.round(shapely.area(polygons), 2).tolist()
    boxes = np.round(shapely.bounds(polygons).reshape(-1, 4), 2)
    sizes = np.round(boxes[:, 2:] - boxes[:, :2], 2)
    for k, polygon in enumerate(polygons):
        annotation = {
            "id": int(part.labels[k]),
            "image_id": 1,
            "category_id": int(objects.classes[k]),
            "segmentation": [shapely.get_coordinates(polygon.exterior)[:-1].ravel().tolist()],
            "area": areas[k],
            "bbox": [*boxes[k, :2].tolist(), *sizes[k].tolist()],
            "iscrowd": 0,
            "score": round(float(objects.confidences[k]), 4),
        }
        yield json.dumps(annotation, separators=(",", ":"))
