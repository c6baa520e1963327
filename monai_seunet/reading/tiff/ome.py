"""Parsing of the OME XML of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from monai_seunet.reading.pixel_size import PixelSize, number, pixel_size, um_per_unit

DEFAULT_UNIT = "µm"  # default of the OME schema


class OmeImage(NamedTuple):
    """One `Image` element of OME.

    Attributes:
        name: name that the user gave to the image; may be empty.
        size: rows and columns; 0 if they are not stated.
        planes: sizes of the axes C, Z and T.
        sizes: pixel sizes in µm.
        significant_bits: number of significant bits per sample; None if it is not stated.
        objective_power: magnification of the objective.
        channels: names of the channels.
        notes: messages for users about values that cannot be used.
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
    """Return the images that OME XML of any version and namespace prefix describes, in the order of the file.

    Limits: XML with a document type is rejected, because it can expand without limit. Rejected or invalid XML returns a
    single image with a note.
    """
    if not xml:
        return []
    try:
        root = ElementTree.fromstring(xml.strip().strip("\0"), forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        return [OmeImage(notes=[f"the XML of OME cannot be read ({reason}); ignored"])]
    powers = {
        _attribute(objective, "ID"): number(_attribute(objective, "NominalMagnification"))
        for objective in _find(root, "Objective")
    }
    return [_image(element, powers) for element in root if _name(element) == "Image"]


def image_of(images: Sequence[OmeImage], index: int, size: tuple[int, int]) -> OmeImage:
    """Return the description with the same index and size as an image, or the only description of this size."""
    same_size = [image for image in images if image.size == size]
    if index < len(images) and images[index] in same_size:
        return images[index]
    if len(same_size) == 1:
        return same_size[0]
    return OmeImage(notes=[note for image in images for note in image.notes][:1])


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
            notes.append(f"OME: PhysicalSize{axis} is in '{unit}', which is no unit of length; ignored")
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
    return (descendant for descendant in element.iter() if _name(descendant) == name)


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _attribute(element: Any, name: str) -> str:
    return str(element.attrib.get(name, ""))


def _whole(element: Any, name: str, default: int) -> int:
    value = number(_attribute(element, name))
    return int(value) if value is not None and 0 <= value < 2**31 else default
