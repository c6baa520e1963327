"""Reading of annotation files, whose format is recognised by their content."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from monai_seunet.reading.annotations.annotation import AnnotationFile
from monai_seunet.reading.annotations.formats.asap import asap_annotations
from monai_seunet.reading.annotations.formats.coco import CocoFile
from monai_seunet.reading.annotations.formats.dsa import dsa_annotations, is_dsa
from monai_seunet.reading.annotations.formats.geojson import TYPES, geojson_annotations
from monai_seunet.reading.annotations.formats.imagescope import imagescope_annotations
from monai_seunet.reading.annotations.formats.json_values import parse_json
from monai_seunet.reading.annotations.formats.xml_shapes import read_shapes
from monai_seunet.utils.errors import InputError

KNOWN = "XML of ImageScope or ASAP, GeoJSON, COCO, JSON of the Digital Slide Archive"
MAX_JSON = 2**30  # bytes; a small compressed file may expand to more than the memory holds
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"  # byte order marks, zeros of UTF-16, whitespace


def read_annotations(path: str | Path, image_name: str | None = None) -> AnnotationFile:
    """Read the annotations of one image from a file of any supported format.

    Args:
        path: XML of ImageScope (MoNuSeg) or ASAP, GeoJSON (QuPath), COCO, or JSON of the Digital Slide Archive; JSON
            may be compressed by gzip.
        image_name: file name of the image, for COCO; folder and suffix are ignored. None selects the only image.

    Returns:
        the annotations in the order of the file, and the numbers of skipped ones by type.

    Raises:
        InputError: the file is missing, damaged, of another format or without the image, or its XML declares a
            document type, or a point has no valid coordinates.

    >>> import json, tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".geojson") as file:
    ...     json.dump({"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4]]]}, file)
    ...     file.flush()
    ...     read_annotations(file.name).annotations[0].parts[0].outer.shape
    (3, 2)
    """
    where = str(path)
    with _opened(path) as (stream, first):
        if first == b"<":
            if isinstance(stream, gzip.GzipFile):
                raise InputError(f"{where}: XML that is compressed; unpack it first")
            return _of_xml(stream, where)
        content = _json(stream, first, where)
    if _is_coco(content):
        return CocoFile(content, where).of(image_name)
    if _is_geojson(content):
        return geojson_annotations(content, where)
    if is_dsa(content):
        return dsa_annotations(content, where)
    keys = f" with {', '.join(map(repr, list(content)[:4]))}" if isinstance(content, dict) else ""
    raise InputError(f"{where}: JSON{keys} is not a supported annotation format; give {KNOWN}")


def read_coco(path: str | Path) -> CocoFile:
    """Read a COCO file once for many images, or raise an InputError if it is damaged or has another format."""
    where = str(path)
    with _opened(path) as (stream, first):
        content = None if first == b"<" else _json(stream, first, where)
    if content is None or not _is_coco(content):
        raise InputError(f"{where}: not a COCO file; only COCO can describe many images: give one file for each image")
    return CocoFile(content, where)


def _of_xml(stream: IO[bytes], where: str) -> AnnotationFile:
    shapes = read_shapes(stream, where)
    if shapes.root == "asap_annotations" or shapes.has_coordinates:
        return asap_annotations(shapes.annotations, where)
    if shapes.root == "annotations" or shapes.regions:
        return imagescope_annotations(shapes.regions, where)
    raise InputError(f"{where}: XML of '{shapes.root}' is not a supported annotation format; give {KNOWN}")


def _json(stream: IO[bytes] | gzip.GzipFile, first: bytes, where: str) -> Any:
    if first not in (b"{", b"["):
        what = "it is empty" if not first else f"it begins with {first!r}"
        raise InputError(f"{where}: no annotations can be read ({what}); give {KNOWN}")
    text = stream.read(MAX_JSON + 1)
    if len(text) > MAX_JSON:
        raise InputError(f"{where}: more than {MAX_JSON >> 20} MB of JSON; cut it into several files")
    return parse_json(text, where)


def _is_coco(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("images"), list) and "annotations" in content


def _is_geojson(content: Any) -> bool:
    first = content[0] if isinstance(content, list) and content else content
    return content == [] or (isinstance(first, dict) and str(first.get("type")) in TYPES and "elements" not in first)


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[IO[bytes] | gzip.GzipFile, bytes]]:
    """Yield the uncompressed stream of a file and its first character."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: IO[bytes] | gzip.GzipFile = gzip.open(raw) if packed else raw
            first = stream.read(1024).lstrip(_BEFORE_TEXT)[:1]
            stream.seek(0)
            yield stream, first
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: cannot be read ({reason})") from error
