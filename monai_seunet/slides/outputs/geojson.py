"""Outlines of nuclei as GeoJSON, as QuPath imports them."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from monai_seunet.files import whole_file
from monai_seunet.report.overlay import CONTOUR_COLOURS, rgb
from monai_seunet.slides.objects import Objects
from monai_seunet.slides.outputs.frame import Numbered, SlideFrame, number_objects
from monai_seunet.slides.outputs.outlines import outlines


def write_geojson(path: str | Path, blocks: Iterable[Objects], frame: SlideFrame, tolerance: float = 0.0) -> Path:
    """Write one detection for every nucleus, in pixels of the slide's finest level (x, y).

    Law: valid polygons, counter-clockwise as the standard wants, each ring closed; the same file from the same nuclei.
    Limits: coordinates are rounded to 0.01. Only one block is held in memory.

    Args:
        path: .geojson, or .geojson.gz, which is compressed.
        blocks: nuclei of the slide.
        frame: of the slide.
        tolerance: how far an outline may move when it is simplified, in working pixels; 0 leaves out points on straight
            lines only.

    References:
        RFC 7946. QuPath from version 0.4 on reads ids, measurements and colours in this form (qupath/qupath, pull
        request 1099, `PathObjectTypeAdapters.java`) and files compressed by gzip (pull request 1103).
    """
    path = Path(path)
    with whole_file(path) as temporary, _text(temporary) as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for part in number_objects(blocks, frame):
            for feature in _features(part, frame, tolerance):
                file.write(separator + feature)
                separator = ",\n"
        file.write("\n]}\n")
    return path


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".gz":
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:  # no name, no time
        with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file:
            yield file


def _features(part: Numbered, frame: SlideFrame, tolerance: float) -> Iterator[str]:
    import shapely

    objects = part.objects
    areas = frame.area(objects.areas)
    for k, polygon in enumerate(shapely.to_geojson(outlines(objects, frame, tolerance))):
        group = int(objects.groups[k])
        measurements = {f"Area {frame.area_unit}": round(float(areas[k]), 2)}
        measurements["Confidence"] = round(float(objects.confidences[k]), 4)
        if group >= 0:
            measurements["Scale group"] = group + 1
            if group < len(frame.sigmas):
                measurements |= _sigma(frame, group)
        properties = {
            "objectType": "detection",
            "classification": _classification(int(objects.classes[k]), frame),
            "measurements": measurements,
        }
        text = json.dumps(properties, ensure_ascii=False)
        yield f'{{"type":"Feature","id":"{part.ids[k]}","geometry":{polygon},"properties":{text}}}'


def _sigma(frame: SlideFrame, group: int) -> dict[str, float]:
    if frame.working_mpp is None:
        return {"Scale sigma px": round(frame.sigmas[group] / float(np.mean(frame.scale)), 3)}
    return {"Scale sigma µm": round(frame.sigmas[group] * float(np.mean(frame.working_mpp)), 3)}


def _classification(number: int, frame: SlideFrame) -> dict[str, Any]:
    return {"name": frame.classes[number - 1], "color": rgb(CONTOUR_COLOURS[(number - 1) % len(CONTOUR_COLOURS)])}
