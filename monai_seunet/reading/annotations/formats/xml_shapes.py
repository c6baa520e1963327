"""Parsing of shapes in the XML of ImageScope and ASAP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO
from xml.sax import SAXException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml import DefusedXmlException
from defusedxml.sax import parse

from monai_seunet.utils.errors import InputError


@dataclass
class Layer:
    """An `Annotation` element: a layer in ImageScope, a shape in ASAP. Its attribute names are in lower case."""

    attributes: dict[str, str]
    description: str = ""


@dataclass
class Shape:
    """An element that holds points.

    Attributes:
        attributes: attributes of the element by their names in lower case.
        layer: layer that contains the element.
        points: x and y of the points in the order of the file.
        orders: `Order` attributes of the points that have one.
    """

    attributes: dict[str, str]
    layer: Layer
    points: list[tuple[float, float]] = field(default_factory=list)
    orders: list[float] = field(default_factory=list)


class Shapes(ContentHandler):
    """SAX handler that collects the shapes of a file; it ignores the case and the namespace of names.

    Attributes:
        root: name of the outermost element.
        regions: `Region` elements of ImageScope.
        annotations: `Annotation` elements, with and without points.
        has_coordinates: whether the file has `Coordinate` elements, which only ASAP writes.
    """

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.root = ""
        self.regions: list[Shape] = []
        self.annotations: list[Shape] = []
        self.has_coordinates = False
        self._in_region = False
        self._no_layer = Layer({})

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: D102
        tag = _local(name)
        self.root = self.root or tag
        if tag == "vertex" and self._in_region:
            self._add_point(self.regions[-1], attrs)
        elif tag == "coordinate" and self.annotations:
            self.has_coordinates = True
            self._add_point(self.annotations[-1], attrs)
        elif tag == "region":
            self._in_region = True
            layer = self.annotations[-1].layer if self.annotations else self._no_layer
            self.regions.append(Shape(_attributes(attrs), layer))
        elif tag == "annotation":
            self.annotations.append(Shape(_attributes(attrs), Layer(_attributes(attrs))))
        elif tag == "attribute" and self.annotations and not self._in_region:
            attributes = _attributes(attrs)
            if attributes.get("name", "").lower() == "description":
                self.annotations[-1].layer.description = attributes.get("value", "")

    def endElement(self, name: str) -> None:  # noqa: D102
        if _local(name) == "region":
            self._in_region = False

    def _add_point(self, shape: Shape, attrs: AttributesImpl) -> None:
        attributes = _attributes(attrs)
        try:
            shape.points.append((float(attributes["x"]), float(attributes["y"])))
            if "order" in attributes:
                shape.orders.append(float(attributes["order"]))
        except (KeyError, ValueError) as error:
            raise InputError(f"{self.where}: a point without readable X and Y ({error}); export it again") from error


def read_shapes(stream: IO[bytes], where: str) -> Shapes:
    """Read all shapes of an XML file in the encoding that it declares.

    Raises:
        InputError: the file is not XML, or declares a document type, which could include other files or expand
            without limit.
    """
    shapes = Shapes(where)
    try:
        parse(stream, shapes, forbid_dtd=True)
    except DefusedXmlException as error:
        raise InputError(f"{where}: declares a document type (DTD), which annotations never need; remove it") from error
    except InputError:
        raise
    except (SAXException, LookupError, ValueError) as error:  # an unknown encoding raises the latter two
        reason = str(error).removeprefix(f"{where}:")
        raise InputError(f"{where}: cannot be read as XML ({reason}); export it again") from error
    return shapes


def _local(name: str) -> str:
    return name.rpartition(":")[2].lower()


def _attributes(attrs: AttributesImpl) -> dict[str, str]:
    return {_local(name): value for name, value in attrs.items() if not name.startswith("xmlns")}
