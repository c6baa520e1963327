"""Writing of a prepared data set: `images/`, `labels/` and `dataset.json`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from monai_seunet.data.datalist import FILE_NAME, SECTIONS
from monai_seunet.data.instances import check_count, part_instances, parted_remark
from monai_seunet.reading.pixel_size import UM_PER_INCH
from monai_seunet.reading.raster import Raster, read_image
from monai_seunet.reading.slide import SCAN, Choice
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import sha256_of
from monai_seunet.utils.progress import progress_bar


@dataclass(frozen=True)
class Facts:
    """The general fields of `dataset.json`; `PreparedDataset` explains them."""

    name: str
    description: str
    licence: str
    classes: Sequence[str] = ("background", "nucleus")
    label_kind: str = "instances"
    mpp: float | None = None
    ignored_label: int | None = None


@dataclass(frozen=True)
class Sample:
    """One image with its label.

    Attributes:
        name: file name without suffix, unique within the data set.
        image: RGB (H, W, 3) uint8, or grey (H, W) uint8 or uint16.
        label: integers (H, W) of at most 16 bits.
        group: patient, slide or image; a group is in only one section.
        sources: source files by their name in `dataset.json`.
        label_source: source of the label, if it varies within the data set: `outlines` of each object, `instances` (a
            mask of object numbers), or `mask` (connected areas of a binary mask, which merge objects that touch).
        mpp: µm per pixel of this image, if the data set has no common value.
        kind: kind of microscopy, if the data set has several.
        notes: messages of the reader about choices, guesses and conversions.
    """

    name: str
    image: np.ndarray
    label: np.ndarray
    group: str
    sources: dict[str, Path]
    label_source: str = ""
    mpp: float | None = None
    kind: str = ""
    notes: Sequence[str] = ()


@dataclass
class PrepareResult:
    """The result of a preparation.

    Attributes:
        destination: folder of the data set.
        counts: number of images by section.
        problems: messages about skipped and changed sources.
        notes: one message for each kind of conversion, with the first image.
    """

    destination: Path
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 without problems, else 1."""
        return 1 if self.problems else 0


Reader = Callable[[list[str]], Iterable[Sample]]
"""Reads the samples of one source, appends messages about problems to the list, or skips the source by InputError."""

Split = Callable[[Iterable[str]], tuple[dict[str, str], dict[str, object]]]
"""Maps the groups to the section of each group, and to the description of the split in `dataset.json`."""


def prepare_dataset(
    facts: Facts,
    readers: Sequence[Reader],
    split: Split,
    destination: str | Path,
    *,
    overwrite: bool = False,
    problems: Iterable[str] = (),
) -> PrepareResult:
    """Write a data set in one atomic step: a temporary folder is renamed to `destination` at the end.

    A source that cannot be used is skipped, and a message is added to the problems.

    Args:
        facts: general fields of the data set.
        readers: one reader for each source; only one image is in memory at a time.
        split: function that chooses the section of each group.
        destination: folder to create.
        overwrite: whether a prepared data set at the destination is replaced.
        problems: messages from before the reading.

    Raises:
        InputError: the destination exists, no source can be read, no split is possible, or the disk is full.
    """
    outcome = PrepareResult(Path(destination).expanduser(), problems=list(problems))
    with _new_folder(outcome.destination, overwrite) as folder:
        items, sources, mpp = _write_samples(folder, readers, facts.mpp, outcome)
        if not items:
            raise InputError("; ".join([*outcome.problems[:3], "nothing is left to prepare; check the source folder"]))
        try:
            sections, how = split(item["group"] for item in items)
        except ValueError as error:
            skipped = "".join(f"; {problem}" for problem in outcome.problems[:3])
            raise InputError(f"no split of {len(items)} image(s): {error}{skipped}") from error
        content = {**vars(facts), "classes": list(facts.classes), "mpp": mpp}
        content |= {name: [item for item in items if sections[item["group"]] == name] for name in SECTIONS}
        content |= {"sources": sources, "split": how}
        (folder / FILE_NAME).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        outcome.counts = dict(Counter(sections[item["group"]] for item in items))
    return outcome


def read_colours(path: Path, choice: Choice = SCAN) -> Raster:
    """Read an image of a data set as RGB (H, W, 3) uint8; see `read_image` for errors."""
    return read_image(path, 3, choice)


def read_grey(path: Path, choice: Choice = SCAN) -> Raster:
    """Read an image as grey (H, W), uint8 or stored uint16, or raise an InputError if its channels differ."""
    raster = read_image(path, choice=choice, keep_deep=True)
    if raster.pixels.ndim == 3:
        if (raster.pixels != raster.pixels[:, :, :1]).any():
            raise InputError(f"{path}: the channels differ, but a grey image is expected; export it as grey")
        raster = raster._replace(pixels=np.ascontiguousarray(raster.pixels[:, :, 0]))
    return raster


def as_label(pixels: np.ndarray, size: tuple[int, ...], path: Path) -> np.ndarray:
    """Return a label (H, W) as int64, or raise an InputError for another size or numbers beyond 0 to 65535."""
    _check_size(pixels, size, path)
    whole = pixels.astype(np.int64)
    if not np.array_equal(whole, pixels) or whole.min() < 0 or whole.max() > np.iinfo(np.uint16).max:
        raise InputError(f"{path}: a label holds whole numbers from 0 to 65535; got {pixels.min()} to {pixels.max()}")
    return whole


def as_instances(pixels: np.ndarray, size: tuple[int, ...], path: Path, problems: list[str]) -> np.ndarray:
    """Check an instance label (H, W) by `part_instances` and against the size of its image.

    Args:
        pixels: whole numbers (H, W) of any type in any order.
        size: rows and columns of the image.
        path: path of the label for messages.
        problems: list to which a message about new numbers is appended.

    Raises:
        InputError: the label has channels, another size or more objects than 16 bits can number, or `part_instances`
            rejects it.
    """
    _check_size(pixels, size, path)
    label, parted = part_instances(pixels, path)
    check_count(int(label.max(initial=0)), path)
    if parted:
        problems.append(f"{path}: {parted_remark(parted)}")
    return label


def _check_size(label: np.ndarray, size: tuple[int, ...], path: Path) -> None:
    if label.shape != size[:2]:
        raise InputError(f"{path}: the label has shape {list(label.shape)}, its image has {list(size[:2])} pixels")


def write_png(path: Path, pixels: np.ndarray, mpp: float | None = None) -> None:
    """Write RGB or grey pixels with µm per pixel as the resolution, or raise an InputError if the disk is full."""
    resolution = None if mpp is None else (UM_PER_INCH / mpp, UM_PER_INCH / mpp)
    try:
        Image.fromarray(pixels).save(path, compress_level=4, dpi=resolution)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); free some space") from error


def _write_samples(
    folder: Path, readers: Sequence[Reader], mpp: float | None, outcome: PrepareResult
) -> tuple[list[dict[str, str]], dict[str, str], float | None]:
    """Read and write each source; return the items, the sha256 of the source files, and the common mpp."""
    items: list[dict[str, str]] = []
    sources: dict[str, str] = {}
    spacings: set[float | None] = set()
    problems, names_of_note = outcome.problems, dict[str, list[str]]()
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for read in progress_bar(readers, desc="prepare", unit="image", leave=False):
        try:
            samples = list(read(problems))
            files = {name: path for sample in samples for name, path in sample.sources.items() if name not in sources}
            sources |= {name: sha256_of(path) for name, path in files.items()}
        except InputError as error:
            problems.append(str(error))
            continue
        items += [_write_sample(folder, sample, mpp) for sample in samples]
        for sample in samples:
            for note in sample.notes:
                names_of_note.setdefault(note, []).append(sample.name)
        spacings |= {sample.mpp for sample in samples}
    outcome.notes += [f"{names[0]}{_others(len(names))}: {note}" for note, names in names_of_note.items()]
    return items, dict(sorted(sources.items())), mpp or _common_spacing(spacings, problems)


def _others(count: int) -> str:
    return "" if count == 1 else f" and {count - 1} other image{'s' if count > 2 else ''}"


def _common_spacing(spacings: set[float | None], problems: list[str]) -> float | None:
    """Return the µm per pixel of all images if they agree within 2 %, else None."""
    stated = sorted(spacing for spacing in spacings if spacing is not None)
    if stated and (None in spacings or stated[-1] > 1.02 * stated[0]):
        others = ", others state none" if None in spacings else ""
        text = f"images state {stated[0]:g} to {stated[-1]:g} µm per pixel{others}"
        problems.append(f"{text}; the data set gets no common value")
        return None
    return stated[0] if stated else None


def _write_sample(folder: Path, sample: Sample, mpp: float | None) -> dict[str, str]:
    file_name = f"{sample.name}.png"
    if (folder / "images" / file_name).exists():
        raise InputError(f"two images are called '{sample.name}'; rename one of {', '.join(sample.sources)}")
    mpp = sample.mpp if mpp is None else mpp
    write_png(folder / "images" / file_name, sample.image, mpp)
    write_png(folder / "labels" / file_name, sample.label.astype(np.uint16), mpp)
    item = {"image": f"images/{file_name}", "label": f"labels/{file_name}", "group": sample.group}
    optional = {"label_source": sample.label_source, "kind": sample.kind}
    return item | {key: value for key, value in optional.items() if value}


@contextmanager
def _new_folder(destination: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder beside `destination` that replaces it at the end, or is deleted after an error."""
    _check_free(destination, overwrite)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".tmp", dir=destination.parent))
    except OSError as error:
        raise InputError(f"{destination}: cannot be made ({error.strerror}); choose another folder") from error
    try:
        new = temporary / "new"  # mkdir respects the umask, whereas only the owner can read a folder of mkdtemp
        new.mkdir()
        yield new
        if destination.exists():
            os.replace(destination, temporary / "old")
        os.replace(new, destination)
    except OSError as error:
        raise InputError(f"{destination}: cannot be written ({error.strerror or error}); free some space") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_free(destination: Path, overwrite: bool) -> None:
    """Raise an error unless the destination is free, empty, or a prepared data set that may be overwritten."""
    if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
        return
    if not overwrite:
        raise InputError(f"{destination} exists; choose another folder or give --overwrite")
    if not (destination / FILE_NAME).is_file():
        raise InputError(f"{destination} holds no {FILE_NAME} and is no prepared data set; choose another folder")
