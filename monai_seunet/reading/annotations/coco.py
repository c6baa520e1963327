"""Annotations in the form of COCO, where one file may serve many images."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import Any

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, ring
from monai_seunet.reading.annotations.json_values import member
from monai_seunet.reading.annotations.run_lengths import RunLengths, run_lengths
from monai_seunet.reading.names import image_stem
from monai_seunet.utils.errors import InputError

FORMAT = "COCO JSON"


class CocoFile:
    """A file of COCO, taken apart by image.

    Args:
        content: the parsed file.
        where: what messages call it.

    Attributes:
        where: as given.
        images: entries of the images by their names without folder and suffix.

    Raises:
        InputError: where it is not in the form of COCO.

    References:
        https://cocodataset.org/#format-data.
    """

    def __init__(self, content: dict[str, Any], where: str) -> None:
        self.where = where
        self.images: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for image in member(content, "images", list, where, []):
            name = member(image, "file_name", str, f"{where}: an image", "")
            self.images[_stem(name)].append(image)
        self._classes = {
            str(category.get("id")): member(category, "name", str, f"{where}: a category", "")
            for category in member(content, "categories", list, where, [])
            if isinstance(category, dict)
        }
        self._annotations: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for number, annotation in enumerate(member(content, "annotations", list, where, []), 1):
            if not isinstance(annotation, dict):
                raise InputError(f"{where}: annotation {number} is no object; export the file again")
            self._annotations[str(annotation.get("image_id"))].append((number, annotation))

    def of(self, image_name: str | None) -> AnnotationFile:
        """The annotations of one image.

        Args:
            image_name: name of its file; folder and suffix do not count. None takes the only image of the file.

        Raises:
            InputError: where the file has no such image or several, or its annotations are damaged.
        """
        image = self._image(image_name)
        told = f"{self.where}: the image '{image.get('file_name', '')}'"
        height, width = (member(image, key, int, told) for key in ("height", "width"))
        size = (height, width) if height and width else None
        annotations, skipped = [], Counter[str]()
        for number, entry in self._annotations[str(image.get("id"))]:
            where = f"{self.where}: annotation {number}"
            found = _segmentation(entry.get("segmentation"), size, where)
            if found is None:
                skipped["bounding box" if entry.get("bbox") else "empty annotation"] += 1
                continue
            parts, mask = found
            size = mask.size if mask else size
            name = self._classes.get(str(entry.get("category_id")), "").strip()
            annotations.append(Annotation(parts, name, mask=mask, crowd=bool(entry.get("iscrowd"))))
        return AnnotationFile(FORMAT, annotations, skipped, size)

    def _image(self, image_name: str | None) -> dict[str, Any]:
        every = [image for images in self.images.values() for image in images]
        found = every if image_name is None else self.images.get(_stem(image_name), [])
        if len(found) == 1:
            return found[0]
        what = f"image '{image_name}'" if image_name else "image"
        if found:
            raise InputError(f"{self.where}: {len(found)} entries for one {what}; name the images differently")
        named = f" (the first is '{every[0].get('file_name', '')}')" if every else ""
        raise InputError(f"{self.where}: no {what} among its {len(every)}{named}; skipped")


def _segmentation(
    found: Any, size: tuple[int, int] | None, where: str
) -> tuple[tuple[Part, ...], RunLengths | None] | None:
    """Parts or a mask; None where there is neither."""
    if not found:
        return None
    if isinstance(found, dict):
        return (), _mask(found, size, where)
    if not isinstance(found, list) or not all(isinstance(part, list) for part in found):
        raise InputError(f"{where}: 'segmentation' is neither lists of numbers nor run lengths; export it again")
    if any(len(part) % 2 for part in found):
        raise InputError(f"{where}: a polygon with an odd number of coordinates; export it again")
    parts = [Part(ring(list(zip(part[::2], part[1::2], strict=True)), where)) for part in found]
    return tuple(part for part in parts if len(part.outer)), None


def _mask(found: dict[str, Any], size: tuple[int, int] | None, where: str) -> RunLengths:
    own, counts = found.get("size"), found.get("counts")
    if not isinstance(own, list) or len(own) != 2 or not all(isinstance(side, int) and side > 0 for side in own):
        raise InputError(f"{where}: run lengths without 'size' of rows and columns; export it again")
    if size and tuple(own) != size:
        raise InputError(f"{where}: a mask of {own[1]} x {own[0]} pixels in an image of {size[1]} x {size[0]}")
    if not isinstance(counts, list | str):
        raise InputError(f"{where}: run lengths without 'counts'; export it again")
    try:
        return run_lengths(counts, (own[0], own[1]))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: {error}; export it again") from error


def _stem(file_name: str) -> str:
    return image_stem(PurePosixPath(file_name.replace("\\", "/")).name)
