"""Outlines of nuclei as an annotation of the Digital Slide Archive."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from monai_seunet.files import whole_file
from monai_seunet.report.overlay import CONTOUR_COLOURS, rgb
from monai_seunet.slides.objects import Objects
from monai_seunet.slides.outputs.frame import SlideFrame
from monai_seunet.slides.outputs.outlines import outlines


def write_dsa(path: str | Path, blocks: Iterable[Objects], frame: SlideFrame) -> Path:
    """Write one closed polyline for every nucleus, in pixels of the slide's finest level.

    Limits: only one block is held in memory.

    Args:
        path: .json
        blocks: nuclei of the slide.
        frame: of the slide.

    References:
        https://github.com/girder/large_image: girder_annotation/docs/annotations.rst.
    """
    path = Path(path)
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"name": {json.dumps(frame.name)}, "elements": [')
        separator = "\n"
        for objects in blocks:
            for polygon, kind in zip(outlines(objects, frame), objects.classes.tolist(), strict=True):
                name = frame.classes[kind - 1]
                element = {
                    "type": "polyline",
                    "closed": True,
                    "points": [[x, y, 0] for x, y in list(polygon.exterior.coords)[:-1]],
                    "group": name,
                    "label": {"value": name},
                    "lineColor": f"rgb{rgb(CONTOUR_COLOURS[(kind - 1) % len(CONTOUR_COLOURS)])}",
                    "lineWidth": 2,
                }
                file.write(separator + json.dumps(element))
                separator = ",\n"
        file.write("\n]}\n")
    return path
