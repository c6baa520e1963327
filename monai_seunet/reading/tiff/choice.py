"""The choice of the scan among the images of a TIFF file, of its levels and of its plane."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from monai_seunet.reading.formats.decoded import choose_plane
from monai_seunet.reading.pixel_size import agree_on_size
from monai_seunet.reading.slide import Choice, Orientation, SkippedNote, orientation_of, pyramid_level
from monai_seunet.reading.tiff.ome import OmeImage, image_of, read_ome
from monai_seunet.reading.tiff.pixel_size import tiff_pixel_sizes
from monai_seunet.utils.errors import InputError

# Names of associated images, in OME and in the descriptions of pages.
_ASSOCIATED = r"(macro|label|thumb(nail)?|overview|barcode|preview)\b"
ASSOCIATED_NAME = re.compile(rf"\b{_ASSOCIATED}", re.IGNORECASE)
ASSOCIATED_LINE = re.compile(rf"^\s*{_ASSOCIATED}", re.IGNORECASE | re.MULTILINE)  # Aperio writes `label 387x463`
OTHER_SIZE = 1.1  # a page is not a level if the pixel size in its tags differs by this factor from the expected one
NAMED = 3  # number of images that a note names


class Scan(NamedTuple):
    """One image of a TIFF file.

    Attributes:
        levels: pages of each level, the finest first; a level has one page, or one for each channel.
        ome: description of the image in OME.
        notes: messages for users about skipped images and guesses.
    """

    levels: list[list[Any]]
    ome: OmeImage
    notes: list[str]

    @property
    def page(self) -> Any:
        """The page that describes the finest level."""
        return self.levels[0][0].keyframe

    @property
    def orientation(self) -> Orientation:
        """Transformation from the stored to the upright image."""
        return orientation_of(getattr(self.page.tags.get("Orientation"), "value", None))


def choose_scan(tiff: Any, path: Path, choice: Choice, any_channels: bool = False) -> Scan:
    """Return the requested image of a file, or the largest one that is not an associated image such as a label.

    Args:
        tiff: an open `tifffile.TiffFile`.
        path: file name for messages.
        choice: request of the user.
        any_channels: whether any number of channels is accepted, for maps and labels.

    Raises:
        InputError: the file has no image, lacks the requested one, or has channels that are not colours.
    """
    all_series = list(tiff.series)
    if not all_series:
        raise InputError(f"{path}: the TIFF file holds no image, or was cut off; copy it again")
    described = read_ome(tiff.ome_metadata if tiff.is_ome else None)
    images = [image_of(described, number, _size(series)) for number, series in enumerate(all_series)]
    count = len(all_series)
    if choice.series is not None and not 0 <= choice.series < count:
        planes = ", or plane to choose among its planes" if len(all_series[0].pages) > 1 else ""
        advice = f"give 0 to {count - 1}{planes}"
        raise InputError(f"{path}: series is {choice.series}; the file has {count} image(s): {advice}")
    number = choice.series if choice.series is not None else _index_of_scan(all_series, images)
    base, ome = all_series[number], images[number]
    pages, notes = _planes(base, ome, path, choice.plane, any_channels)
    levels = [pages]
    used = {number}
    smaller = [(number, level) for level in base.levels[1:]]
    if base.kind in ("generic", "uniform", "shaped"):  # files of other kinds state their pyramids
        smaller += [
            (i, level)
            for i, series in enumerate(all_series)
            if i != number and not _is_associated(series, images[i])
            for level in series.levels
        ]
    for i, level in sorted(smaller, key=lambda item: -math.prod(_size(item[1]))):
        if _continues(tiff, base.keyframe, levels[-1][0].keyframe, level.keyframe):
            levels.append(_planes(level, ome, path, choice.plane, any_channels)[0])
            used.add(i)
    skipped = [f"{i} ({_described(all_series[i], images[i])})" for i in range(count) if i not in used]
    if skipped:
        rest = f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
        read = f"image {number} ({_described(base, ome)}) of {count}"
        others = f"{', '.join(skipped[:NAMED])}{rest}"
        notes.append(SkippedNote(f"{read}; left out: {others}; series chooses another"))
    return Scan(levels, ome, [*notes, *ome.notes])


def _index_of_scan(all_series: Sequence[Any], images: Sequence[OmeImage]) -> int:
    indices = range(len(all_series))
    scans = [i for i in indices if not _is_associated(all_series[i], images[i])]
    return max(scans or indices, key=lambda i: (math.prod(_size(all_series[i])), -i))


def _is_associated(series: Any, image: OmeImage) -> bool:
    """Return whether the name of an image, or a line of its description, marks it as an associated image."""
    named = ASSOCIATED_NAME.search(f"{image.name} {series.name}".replace("_", " "))
    description = str(series.keyframe.description or "")
    structured = description.lstrip().startswith(("<", "{"))
    return bool(named) or (not structured and bool(ASSOCIATED_LINE.search(description)))


def _described(series: Any, image: OmeImage) -> str:
    height, width = _size(series)
    name = image.name or ("" if series.kind == "generic" else series.name)
    return f"{name}, {width} x {height}" if name else f"{width} x {height}"


def _size(series: Any) -> tuple[int, int]:
    return int(series.keyframe.imagelength), int(series.keyframe.imagewidth)


def _continues(tiff: Any, base: Any, last: Any, page: Any) -> bool:
    """Return whether a page is the next level: smaller than the last one, with equal sample type and aspect ratio."""
    level = pyramid_level((base.imagelength, base.imagewidth), (page.imagelength, page.imagewidth))
    same_shape = all(
        abs(before / level.downsample - after) <= 1
        for before, after in ((base.imagelength, page.imagelength), (base.imagewidth, page.imagewidth))
    )
    same_pixels = (base.dtype, base.samplesperpixel) == (page.dtype, page.samplesperpixel)
    if not (same_shape and same_pixels and page.imagelength < last.imagelength and page.imagewidth < last.imagewidth):
        return False
    sizes = [agree_on_size(tiff_pixel_sizes(tiff, level_page, OmeImage()))[0] for level_page in (base, page)]
    if sizes[0] is None or sizes[1] is None or sizes[0] == sizes[1]:  # many writers repeat the tags of the scan
        return True
    factor = sizes[1][1] / sizes[0][1] / level.downsample
    return max(factor, 1 / factor) < OTHER_SIZE


def _planes(
    series: Any, ome: OmeImage, path: Path, wanted: int | None, any_channels: bool
) -> tuple[list[Any], list[str]]:
    """Return the pages of the requested or default plane, one page or one for each channel, and notes."""
    axes = {axis: size for axis, size in zip(series.axes, series.shape, strict=True) if size > 1 and axis not in "YXS"}
    pages = [page for page in series.pages if page is not None]
    if len(pages) != math.prod(axes.values()):
        raise InputError(
            f"{path}: planes (axes {series.axes} of {list(series.shape)}) that share one page cannot be read (ImageJ "
            "stores stacks above 4 GB so); export one plane"
        )
    if list(axes) in (["I"], ["Q"]) and ome.planes == (len(pages), 1, 1):
        axes = {"C": len(pages)}  # without TiffData in OME, the pages are the channels in order
    if wanted is not None:
        plane, notes = choose_plane(path, len(pages), wanted, "".join(axes))
        return [pages[plane]], notes
    chosen = {axis: choose_plane(path, size, None, axis) for axis, size in axes.items() if axis != "C"}
    indices = {axis: index for axis, (index, _) in chosen.items()}
    notes = [note for _, axis_notes in chosen.values() for note in axis_notes]
    if "C" not in axes:
        return [pages[_flat_index(axes, indices)]], notes
    if any_channels or (axes["C"] == 3 and series.keyframe.samplesperpixel == 1):
        return [pages[_flat_index(axes, {**indices, "C": channel})] for channel in range(axes["C"])], notes
    names = ", ".join(name for name in ome.channels if name)
    raise InputError(
        f"{path}: {axes['C']} channels{f' ({names})' if names else ''} are no colours; give plane to read one of them "
        "as grey, or export RGB"
    )


def _flat_index(axes: dict[str, int], indices: dict[str, int]) -> int:
    """Return the index of a plane in row-major order of the axes."""
    index = 0
    for axis, size in axes.items():
        index = index * size + indices[axis]
    return index
