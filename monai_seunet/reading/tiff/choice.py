"""Which image of a TIFF file is the scan, which others are its levels, and which of its planes is meant."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from monai_seunet.reading.formats.decoded import choose_plane
from monai_seunet.reading.pixel_size import agree_on_size
from monai_seunet.reading.slide import Choice, SkippedNote, pyramid_level
from monai_seunet.reading.tiff.ome import OmeImage, image_of, read_ome
from monai_seunet.reading.tiff.pixel_size import tiff_pixel_sizes
from monai_seunet.utils.errors import InputError

# Names of pictures beside a scan, in OME and in descriptions of pages.
_BESIDE = r"(macro|label|thumb(nail)?|overview|barcode|preview)\b"
BESIDE_SCAN = re.compile(rf"\b{_BESIDE}", re.IGNORECASE)
BESIDE_SCAN_LINE = re.compile(rf"^\s*{_BESIDE}", re.IGNORECASE | re.MULTILINE)  # as `label 387x463` of Aperio
OTHER_SIZE = 1.1  # a level whose tags say another size than its pixels do by this factor is another picture
NAMED = 3  # images that are named in a note


class Scan(NamedTuple):
    """One image of a TIFF file.

    Attributes:
        levels: its pages, one or one a channel, of each level, the finest first.
        ome: what OME says of it.
        notes: what was left out or guessed.
    """

    levels: list[list[Any]]
    ome: OmeImage
    notes: list[str]

    @property
    def page(self) -> Any:
        """The page that describes the finest level."""
        return self.levels[0][0].keyframe


def choose_scan(tiff: Any, path: Path, choice: Choice, any_channels: bool = False) -> Scan:
    """The image of a file that is meant: the one that is asked for, else the largest that is no macro or label picture.

    Args:
        tiff: an open `tifffile.TiffFile`.
        path: for messages.
        choice: what the user asks for.
        any_channels: take all channels, whatever their number, as maps and labels have them.

    Raises:
        InputError: for a file without images, a choice that it does not have, or channels that are no colours.
    """
    every = list(tiff.series)
    if not every:
        raise InputError(f"{path}: the TIFF file holds no image, or was cut off; copy it again")
    described = read_ome(tiff.ome_metadata if tiff.is_ome else None)
    images = [image_of(described, number, _size(series)) for number, series in enumerate(every)]
    if choice.series is not None and not 0 <= choice.series < len(every):
        planes = ", or plane to choose among its planes" if len(every[0].pages) > 1 else ""
        raise InputError(
            f"{path}: series is {choice.series}; the file has {len(every)} image(s): give 0 to {len(every) - 1}{planes}"
        )
    number = choice.series if choice.series is not None else _number_of_scan(every, images)
    base, ome = every[number], images[number]
    pages, notes = _planes(base, ome, path, choice.plane, any_channels)
    levels = [pages]
    used = {number}
    smaller = [(number, level) for level in base.levels[1:]]
    if base.kind in ("generic", "uniform", "shaped"):  # else the file itself says what its pyramids are
        smaller += [
            (i, level)
            for i, series in enumerate(every)
            if i != number and not _is_beside(series, images[i])
            for level in series.levels
        ]
    for i, level in sorted(smaller, key=lambda one: -math.prod(_size(one[1]))):
        if _continues(tiff, base.keyframe, levels[-1][0].keyframe, level.keyframe):
            levels.append(_planes(level, ome, path, choice.plane, any_channels)[0])
            used.add(i)
    left_out = [f"{i} ({_described(every[i], images[i])})" for i in range(len(every)) if i not in used]
    if left_out:
        more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        read = f"image {number} ({_described(base, ome)}) of {len(every)}"
        others = f"{', '.join(left_out[:NAMED])}{more}"
        notes.append(SkippedNote(f"{read}; left out: {others}; series chooses another"))
    return Scan(levels, ome, [*notes, *ome.notes])


def _number_of_scan(every: Sequence[Any], images: Sequence[OmeImage]) -> int:
    numbers = range(len(every))
    scans = [i for i in numbers if not _is_beside(every[i], images[i])]
    return max(scans or numbers, key=lambda i: (math.prod(_size(every[i])), -i))


def _is_beside(series: Any, image: OmeImage) -> bool:
    """Whether an image is called a picture beside the scan: by its name, or by a line of its page's description."""
    named = BESIDE_SCAN.search(f"{image.name} {series.name}".replace("_", " "))
    description = str(series.keyframe.description or "")
    return bool(named) or (
        not description.lstrip().startswith(("<", "{")) and bool(BESIDE_SCAN_LINE.search(description))
    )


def _described(series: Any, image: OmeImage) -> str:
    height, width = _size(series)
    name = image.name or ("" if series.kind == "generic" else series.name)
    return f"{name}, {width} x {height}" if name else f"{width} x {height}"


def _size(series: Any) -> tuple[int, int]:
    return int(series.keyframe.imagelength), int(series.keyframe.imagewidth)


def _continues(tiff: Any, base: Any, last: Any, page: Any) -> bool:
    """Whether a page is the next level: the same kind of pixels, smaller, and of the same shape to a pixel."""
    level = pyramid_level((base.imagelength, base.imagewidth), (page.imagelength, page.imagewidth))
    same_shape = all(
        abs(before / level.downsample - after) <= 1
        for before, after in ((base.imagelength, page.imagelength), (base.imagewidth, page.imagewidth))
    )
    same_pixels = (base.dtype, base.samplesperpixel) == (page.dtype, page.samplesperpixel)
    if not (same_shape and same_pixels and page.imagelength < last.imagelength and page.imagewidth < last.imagewidth):
        return False
    sizes = [agree_on_size(tiff_pixel_sizes(tiff, one, OmeImage()))[0] for one in (base, page)]
    if sizes[0] is None or sizes[1] is None or sizes[0] == sizes[1]:  # many writers repeat the tags of the scan
        return True
    factor = sizes[1][1] / sizes[0][1] / level.downsample
    return max(factor, 1 / factor) < OTHER_SIZE


def _planes(
    series: Any, ome: OmeImage, path: Path, wanted: int | None, any_channels: bool
) -> tuple[list[Any], list[str]]:
    """The page of the plane that is meant, or its pages where each holds a channel; and notes."""
    axes = {axis: size for axis, size in zip(series.axes, series.shape, strict=True) if size > 1 and axis not in "YXS"}
    pages = [page for page in series.pages if page is not None]
    if len(pages) != math.prod(axes.values()):
        raise InputError(
            f"{path}: planes (axes {series.axes} of {list(series.shape)}) without pages of their own, as in stacks of "
            "ImageJ above 4 GB, cannot be read; export one plane"
        )
    if list(axes) in (["I"], ["Q"]) and ome.planes == (len(pages), 1, 1):
        axes = {"C": len(pages)}  # OME without TiffData: planes follow one another
    if wanted is not None:
        plane, notes = choose_plane(path, len(pages), wanted, "".join(axes))
        return [pages[plane]], notes
    chosen = {axis: choose_plane(path, size, None, axis) for axis, size in axes.items() if axis != "C"}
    place = {axis: number for axis, (number, _) in chosen.items()}
    notes = [note for _, said in chosen.values() for note in said]
    if "C" not in axes:
        return [pages[_number(axes, place)]], notes
    if any_channels or (axes["C"] == 3 and series.keyframe.samplesperpixel == 1):
        return [pages[_number(axes, {**place, "C": channel})] for channel in range(axes["C"])], notes
    names = ", ".join(name for name in ome.channels if name)
    raise InputError(
        f"{path}: {axes['C']} channels{f' ({names})' if names else ''} are no colours; give plane to read one of them "
        "as grey, or export RGB"
    )


def _number(axes: dict[str, int], place: dict[str, int]) -> int:
    """The number of a plane, the last axis counted first."""
    number = 0
    for axis, size in axes.items():
        number = number * size + place[axis]
    return number
