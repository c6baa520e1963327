"""Annotations in COCO files, each of which may describe many images."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, ring
from monai_seunet.reading.annotations.formats.json_values import member
from monai_seunet.reading.annotations.run_lengths import RunLengths, run_lengths
from monai_seunet.reading.names import image_stem
from monai_seunet.utils.errors import InputError

FORMAT = "COCO JSON"


class CocoFile:
    """A COCO file whose annotations are grouped by image.

    Args:
        content: parsed JSON of the file.
        where: name of the file in messages.

    Attributes:
        images: `images` entries by their file name without folder and suffix.

    Raises:
        InputError: the content does not follow the COCO format.

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

    def without_image(self, images: Iterable[Path], folder: Path) -> list[str]:
        """Return a message about the images of the file that are not among the images of a folder, or an empty list."""
        missing = sorted(self.images.keys() - {_stem(image.name) for image in images})
        if not missing:
            return []
        first = f"the first is '{missing[0]}'"
        return [f"{self.where}: {len(missing)} of its images are not in {folder} ({first}); skipped"]

    def of(self, image_name: str | None) -> AnnotationFile:
        """Return the annotations of one image.

        Args:
            image_name: file name of the image; folder and suffix are ignored. None selects the only image of the file.

        Raises:
            InputError: the file has no such image or several, or its annotations are damaged.
        """
        image = self._image(image_name)
        where_image = f"{self.where}: the image '{image.get('file_name', '')}'"
        height, width = (member(image, key, int, where_image) for key in ("height", "width"))
        size = (height, width) if height and width else None
        annotations, skipped = [], Counter[str]()
        for number, entry in self._annotations[str(image.get("id"))]:
            where = f"{self.where}: annotation {number}"
            segmentation = _segmentation(entry.get("segmentation"), size, where)
            if segmentation is None:
                skipped["bounding box" if entry.get("bbox") else "empty annotation"] += 1
                continue
            parts, mask = segmentation
            size = mask.size if mask else size
            name = self._classes.get(str(entry.get("category_id")), "").strip()
            annotations.append(Annotation(parts, name, mask=mask, crowd=bool(entry.get("iscrowd"))))
        return AnnotationFile(FORMAT, annotations, skipped, size)

    def _image(self, image_name: str | None) -> dict[str, Any]:
        all_images = [image for images in self.images.values() for image in images]
        matches = all_images if image_name is None else self.images.get(_stem(image_name), [])
        if len(matches) == 1:
            return matches[0]
        what = f"image '{image_name}'" if image_name else "image"
        if matches:
            raise InputError(f"{self.where}: {len(matches)} entries for one {what}; name the images differently")
        example = f" (the first is '{all_images[0].get('file_name', '')}')" if all_images else ""
        raise InputError(f"{self.where}: no {what} among its {len(all_images)}{example}; skipped")


def _segmentation(
    value: Any, size: tuple[int, int] | None, where: str
) -> tuple[tuple[Part, ...], RunLengths | None] | None:
    """Return the polygons or the mask in a `segmentation` value, or None if it is empty."""
    if not value:
        return None
    if isinstance(value, dict):
        return (), _mask(value, size, where)
    if not isinstance(value, list) or not all(isinstance(polygon, list) for polygon in value):
        raise InputError(f"{where}: 'segmentation' is neither lists of numbers nor run lengths; export it again")
    if any(len(polygon) % 2 for polygon in value):
        raise InputError(f"{where}: a polygon with an odd number of coordinates; export it again")
    parts = [Part(ring(list(zip(polygon[::2], polygon[1::2], strict=True)), where)) for polygon in value]
    return tuple(part for part in parts if len(part.outer)), None


def _mask(value: dict[str, Any], image_size: tuple[int, int] | None, where: str) -> RunLengths:
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise InputError(f"{where}: run lengths without 'size' of rows and columns; export it again")
    height, width = size
    if image_size and (height, width) != image_size:
        image = f"{image_size[1]} x {image_size[0]}"
        raise InputError(f"{where}: a mask of {width} x {height} pixels in an image of {image}")
    if not isinstance(counts, list | str):
        raise InputError(f"{where}: run lengths without 'counts'; export it again")
    try:
        return run_lengths(counts, (height, width))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: {error}; export it again") from error


def _stem(file_name: str) -> str:
    return image_stem(PurePosixPath(file_name.replace("\\", "/")).name)
