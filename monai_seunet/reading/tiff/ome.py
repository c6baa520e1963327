"""What the XML of OME says about the images of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from monai_seunet.reading.pixel_size import PixelSize, number, pixel_size, um_per_unit

DEFAULT_UNIT = "µm"  # by the schema of OME


class OmeImage(NamedTuple):
    """One `Image` of OME.

    Attributes:
        name: as people gave it; may be empty.
        size: rows and columns; 0 where they are not said.
        planes: sizes of the axes C, Z and T.
        sizes: what is said about µm per pixel.
        significant_bits: how many bits of a sample count; None where it is not said.
        objective_power: magnification of the objective.
        channels: their names.
        notes: what cannot be used.
    """

    name: str = ""
    size: tuple[int, int] = (0, 0)
    planes: tuple[int, int, int] = (1, 1, 1)
    sizes: Sequence[PixelSize] = ()
    significant_bits: int | None = None
    objective_power: float | None = None
    channels: Sequence[str] = ()
    notes: Sequence[str] = ()


def read_ome(xml: str | None) -> list[OmeImage]:
    """The images that the XML of an OME file describes, in its order; any prefix, version and spelling of OME.

    Limits: XML with a document type is not read: it can grow without bound. Such XML, and what is none, gives a single
    image with a note.
    """
    if not xml:
        return []
    try:
        root = ElementTree.fromstring(xml.strip().strip("\0"), forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        return [OmeImage(notes=[f"the XML of OME cannot be read ({reason}); not used"])]
    powers = {
        _attribute(one, "ID"): number(_attribute(one, "NominalMagnification")) for one in _find(root, "Objective")
    }
    return [_image(element, powers) for element in root if _name(element) == "Image"]


def image_of(images: Sequence[OmeImage], number_of_series: int, size: tuple[int, int]) -> OmeImage:
    """The description of one image of a file: of the same number and size, or the only one of its size."""
    alike = [image for image in images if image.size == size]
    if number_of_series < len(images) and images[number_of_series] in alike:
        return images[number_of_series]
    return alike[0] if len(alike) == 1 else OmeImage(notes=[note for image in images for note in image.notes][:1])


def _image(element: Any, powers: dict[str, float | None]) -> OmeImage:
    pixels = next(_find(element, "Pixels"), None)
    if pixels is None:
        return OmeImage(_attribute(element, "Name"))
    sides: list[float | None] = []
    notes = []
    for axis in "YX":
        unit = _attribute(pixels, f"PhysicalSize{axis}Unit") or DEFAULT_UNIT
        side, factor = number(_attribute(pixels, f"PhysicalSize{axis}")), um_per_unit(unit)
        if side is not None and factor is None:
            notes.append(f"OME: PhysicalSize{axis} is in '{unit}', which is no length; not used")
        sides.append(side * factor if side is not None and factor is not None else None)
    settings = next(_find(element, "ObjectiveSettings"), None)
    power = powers.get(_attribute(settings, "ID")) if settings is not None else None
    if power is None and len(set(powers.values())) == 1:
        power = next(iter(powers.values()))
    bits = number(_attribute(pixels, "SignificantBits"))
    return OmeImage(
        name=_attribute(element, "Name"),
        size=(_whole(pixels, "SizeY", 0), _whole(pixels, "SizeX", 0)),
        planes=(_whole(pixels, "SizeC", 1), _whole(pixels, "SizeZ", 1), _whole(pixels, "SizeT", 1)),
        sizes=pixel_size("OME", sides[0], sides[1]),
        significant_bits=int(bits) if bits is not None and 1 <= bits <= 16 else None,
        objective_power=power,
        channels=[_attribute(channel, "Name") for channel in _find(pixels, "Channel")],
        notes=notes,
    )


def _find(element: Any, name: str) -> Iterator[Any]:
    return (one for one in element.iter() if _name(one) == name)


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _attribute(element: Any, name: str) -> str:
    return str(element.attrib.get(name, ""))


def _whole(element: Any, name: str, default: int) -> int:
    value = number(_attribute(element, name))
    return int(value) if value is not None and 0 <= value < 2**31 else default
