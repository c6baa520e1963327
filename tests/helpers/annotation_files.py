"""Files of annotations as other programs write them, made of the same shapes."""

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.path import Path as Outline

from monai_seunet.reading.annotations import Annotation, AnnotationFile, read_annotations
from monai_seunet.reading.annotations.filling import pixels_of

Points = list[tuple[float, float]]


class Shape(NamedTuple):
    """An outline, with holes, of a class."""

    outer: Points
    holes: list[Points] = []  # noqa: RUF012
    name: str = "nucleus"


def circle(x: float, y: float, radius: float, points: int = 24) -> Points:
    turns = [2 * math.pi * i / points for i in range(points)]
    return [(round(x + radius * math.cos(t), 3), round(y + radius * math.sin(t), 3)) for t in turns]


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


SIZE = (40, 60)
SQUARE = Shape(rectangle(2, 1, 6, 4))
RING = Shape(circle(30, 20, 15.3), [circle(26, 20, 5.7)], "gland")


def drawn(one: Annotation, size: tuple[int, int] = SIZE) -> np.ndarray:
    """The pixels of an annotation, as a mask."""
    mask = np.zeros(size, bool)
    mask[pixels_of(one, size)] = True
    return mask


def mask_of(shape: Shape, size: tuple[int, int] = SIZE, centre: float = 0.5) -> np.ndarray:
    """The pixels whose centres lie in a shape, by matplotlib, where the centre of the first pixel is given."""
    y, x = np.mgrid[: size[0], : size[1]] + centre
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = Outline(shape.outer).contains_points(centres)
    for hole in shape.holes:
        inside &= ~Outline(hole).contains_points(centres)
    return inside.reshape(size)


def shifted(points: Points) -> Points:
    """Points for ImageScope, where the centre of the first pixel is 0 and not 0.5."""
    return [(x - 0.5, y - 0.5) for x, y in points]


def region(points: Points, kind: object = 0, negative: object = 0, text: str = "") -> str:
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    return f'<Region Type="{kind}" NegativeROA="{negative}" Text="{text}"><Vertices>{vertices}</Vertices></Region>'


def layer(*regions: str, name: str = "nucleus", number: int = 1) -> str:
    return f'<Annotation Id="{number}" Name="{name}" Type="4"><Regions>{"".join(regions)}</Regions></Annotation>'


def imagescope(*layers: str, head: str = "") -> str:
    return f'{head}<Annotations MicronsPerPixel="0.25">{"".join(layers)}</Annotations>'


def asap(*shapes: Shape, kind: str = "Polygon", head: str = "") -> str:
    parts = []
    for number, shape in enumerate(shapes):
        points = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(shape.outer))
        start = f'<Annotation Name="{number}" Type="{kind}" PartOfGroup="{shape.name}" Color="#F4FA58">'
        parts.append(f"{start}<Coordinates>{points}</Coordinates></Annotation>")
    return f"{head}<ASAP_Annotations><Annotations>{''.join(parts)}</Annotations></ASAP_Annotations>"


def closed(points: Points) -> list[list[float]]:
    return [list(point) for point in [*points, points[0]]]


def feature(geometry: str, coordinates: object, name: str = "nucleus") -> dict:
    properties = {"objectType": "annotation", "classification": {"name": name, "color": [9, 9, 9]}}
    return {"type": "Feature", "geometry": {"type": geometry, "coordinates": coordinates}, "properties": properties}


def polygon(shape: Shape) -> dict:
    return feature("Polygon", [closed(shape.outer), *map(closed, shape.holes)], shape.name)


def collection(*features: dict) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


def counts_of(mask: np.ndarray) -> list[int]:
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
    return np.diff(ends, prepend=0).tolist()


def coco(annotations: list[dict], images: list[dict] | None = None, classes: tuple[str, ...] = ("nucleus",)) -> str:
    content = {
        "images": images or [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [{"id": i, "image_id": 1, "category_id": 1} | one for i, one in enumerate(annotations)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(classes, 1)],
    }
    return json.dumps(content)


def flat(points: Points) -> list[float]:
    return [number for point in points for number in point]


def dsa(*shapes: Shape) -> str:
    elements = [
        {
            "type": "polyline",
            "closed": True,
            "points": [[x, y, 0] for x, y in shape.outer],
            "holes": [[[x, y, 0] for x, y in hole] for hole in shape.holes],
            "group": shape.name,
        }
        for shape in shapes
    ]
    return json.dumps({"name": "nuclei", "elements": elements})


def read(folder: Path, text: str | bytes, name: str = "a.xml", image_name: str | None = None) -> AnnotationFile:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_annotations(path, image_name)


def outers(found: AnnotationFile) -> list[Points]:
    """The first outline of every annotation, as it was written."""
    return [[tuple(point) for point in one.parts[0].outer.tolist()] for one in found.annotations]
