"""Outlines of nuclei as XML of ASAP, which MONAI Label's client in QuPath reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from xml.sax.saxutils import quoteattr

from monai_seunet.files import whole_file
from monai_seunet.report.overlay import CONTOUR_COLOURS
from monai_seunet.slides.objects import Objects
from monai_seunet.slides.outputs.frame import SlideFrame
from monai_seunet.slides.outputs.outlines import outlines

if TYPE_CHECKING:
    import shapely


def write_asap(path: str | Path, blocks: Iterable[Objects], frame: SlideFrame) -> Path:
    """Write one polygon for every nucleus, in pixels of the slide's finest level, in a group for each class.

    Limits: holds no measurements. Only one block is held in memory.

    Args:
        path: .xml
        blocks: nuclei of the slide.
        frame: of the slide.

    References:
        https://github.com/computationalpathologygroup/ASAP: annotation/XmlRepository.cpp.
    """
    path = Path(path)
    colours = {name: CONTOUR_COLOURS[k % len(CONTOUR_COLOURS)] for k, name in enumerate(frame.classes)}
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<ASAP_Annotations>\n')
        file.write(f"<Annotations Name={quoteattr(frame.name)}>\n")
        for objects in blocks:
            for polygon, kind in zip(outlines(objects, frame), objects.classes.tolist(), strict=True):
                name = frame.classes[kind - 1]
                _write_polygon(file, polygon, name, colours[name])
        file.write("</Annotations>\n<AnnotationGroups>\n")
        for name, colour in colours.items():
            group = f'<Group Name={quoteattr(name)} PartOfGroup="None" Color="{colour}"><Attributes /></Group>\n'
            file.write(group)
        file.write("</AnnotationGroups>\n</ASAP_Annotations>\n")
    return path


def _write_polygon(file: TextIO, polygon: shapely.Polygon, name: str, colour: str) -> None:
    quoted = quoteattr(name)  # the name is what QuPath takes for the class
    file.write(f'<Annotation Name={quoted} Type="Polygon" PartOfGroup={quoted} Color="{colour}"><Coordinates>')
    for order, (x, y) in enumerate(list(polygon.exterior.coords)[:-1]):
        file.write(f'<Coordinate Order="{order}" X="{x}" Y="{y}" />')
    file.write("</Coordinates></Annotation>\n")
