"""What all data sets share on their way from a user's folder to `images/`, `labels/` and `dataset.json`."""

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
    """What `dataset.json` says about a data set as a whole; see `PreparedDataset` for the meaning of each."""

    name: str
    description: str
    licence: str
    classes: Sequence[str] = ("background", "nucleus")
    label_kind: str = "instances"
    mpp: float | None = None
    ignored_label: int | None = None


@dataclass(frozen=True)
class Sample:
    """One image with its label, as it is written.

    Attributes:
        name: file name without suffix; unique within the data set.
        image: (H, W, 3), uint8, or grey (H, W), uint8 or uint16.
        label: (H, W), integers of at most 16 bits.
        group: patient, slide or image; never on two sides of a split.
        sources: the files that it was read from, by the name that `dataset.json` gives them.
        label_source: where the label comes from, if that differs between the images of a data set: `outlines` of each
            object, `instances` (a mask of object numbers), or `mask` (connected areas of a binary mask, in which
            objects that touch are one).
        mpp: µm per pixel of this image, where the data set as a whole has not one.
        kind: which kind of microscopy it is, where a data set has several.
        notes: what was chosen, guessed or changed when the image was read.
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
    """What became of a preparation.

    Attributes:
        destination: folder of the data set.
        counts: number of images by section.
        problems: one line for everything that was not perfect.
        notes: one line for every way in which images were changed on reading, with the first of them.
    """

    destination: Path
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 where all was fine, 1 where something was skipped or changed."""
        return 1 if self.problems else 0


Reader = Callable[[list[str]], Iterable[Sample]]
"""Reads one source into samples; appends to the list what was not perfect; raises InputError to skip the source."""

Split = Callable[[Iterable[str]], tuple[dict[str, str], dict[str, object]]]
"""From the groups to the section of each, and what `dataset.json` says about the choice."""


def prepare_dataset(
    facts: Facts,
    readers: Sequence[Reader],
    split: Split,
    destination: str | Path,
    *,
    overwrite: bool = False,
    problems: Iterable[str] = (),
) -> PrepareResult:
    """Write a data set whole or not at all.

    Everything goes to a folder of a temporary name beside `destination`, which takes its name at the end. A source that
    cannot be used is listed and skipped.

    Args:
        facts: what holds for the whole data set.
        readers: one for each source; called one after the other, so that one image is in memory.
        split: chooses the section of each group.
        destination: the folder to make.
        overwrite: whether a prepared data set there may be replaced.
        problems: what was found before reading, to be listed first.

    Raises:
        InputError: where the destination is taken, nothing could be read, no split is possible or the disk is full.
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
    """Read an image of a data set as RGB of 8 bits, (H, W, 3).

    Raises:
        InputError: as `read_image`.
    """
    return read_image(path, 3, choice)


def read_grey(path: Path, choice: Choice = SCAN) -> Raster:
    """Read an image of a data set as one channel, (H, W) uint8, or uint16 as it is stored; three equal are one.

    Raises:
        InputError: as `read_image`, and where the channels differ.
    """
    raster = read_image(path, choice=choice, keep_deep=True)
    if raster.pixels.ndim == 3:
        if (raster.pixels != raster.pixels[:, :, :1]).any():
            raise InputError(f"{path}: the channels differ, but a grey image is expected; export it as grey")
        raster = raster._replace(pixels=np.ascontiguousarray(raster.pixels[:, :, 0]))
    return raster


def as_label(pixels: np.ndarray, size: tuple[int, ...], path: Path) -> np.ndarray:
    """Check a label (H, W) against the size of its image; whole numbers of at most 16 bits.

    Raises:
        InputError: where it has channels, another size, or other numbers.
    """
    _check_size(pixels, size, path)
    whole = pixels.astype(np.int64)
    if not np.array_equal(whole, pixels) or whole.min() < 0 or whole.max() > np.iinfo(np.uint16).max:
        raise InputError(f"{path}: a label holds whole numbers from 0 to 65535; got {pixels.min()} to {pixels.max()}")
    return whole


def as_instances(pixels: np.ndarray, size: tuple[int, ...], path: Path, problems: list[str]) -> np.ndarray:
    """Check an instance label (H, W) against the size of its image; `part_instances` says what becomes of its numbers.

    Args:
        pixels: (H, W) whole numbers of any type, in any numbering.
        size: rows and columns of the image.
        path: of the label, for messages.
        problems: gets a line where areas of one number became objects of their own.

    Raises:
        InputError: where it has channels or another size, as `part_instances`, and for more objects than 16 bits can
            number.
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
    """Write RGB of 8 bits or grey of 8 or 16 losslessly, with µm per pixel as the file's resolution where it is known.

    Raises:
        InputError: where the disk is full or not writable.
    """
    resolution = None if mpp is None else (UM_PER_INCH / mpp, UM_PER_INCH / mpp)
    try:
        Image.fromarray(pixels).save(path, compress_level=4, dpi=resolution)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); free some space") from error


def _write_samples(
    folder: Path, readers: Sequence[Reader], mpp: float | None, outcome: PrepareResult
) -> tuple[list[dict[str, str]], dict[str, str], float | None]:
    """Read and write source by source; returns the items, the sha256 of what they came from, and their common mpp."""
    items: list[dict[str, str]] = []
    sources: dict[str, str] = {}
    spacings: set[float | None] = set()
    problems, noted = outcome.problems, dict[str, list[str]]()
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
                noted.setdefault(note, []).append(sample.name)
        spacings |= {sample.mpp for sample in samples}
    outcome.notes += [f"{names[0]}{_others(len(names))}: {note}" for note, names in noted.items()]
    return items, dict(sorted(sources.items())), mpp or _common_spacing(spacings, problems)


def _others(count: int) -> str:
    return "" if count == 1 else f" and {count - 1} other image{'s' if count > 2 else ''}"


def _common_spacing(spacings: set[float | None], problems: list[str]) -> float | None:
    """The µm per pixel of all images, where they agree to 2 %."""
    known = sorted(spacing for spacing in spacings if spacing is not None)
    if known and (None in spacings or known[-1] > 1.02 * known[0]):
        unknown = ", others do not say" if None in spacings else ""
        problems.append(f"images say {known[0]:g} to {known[-1]:g} µm per pixel{unknown}; left open for the data set")
        return None
    return known[0] if known else None


def _write_sample(folder: Path, sample: Sample, mpp: float | None) -> dict[str, str]:
    file_name = f"{sample.name}.png"
    if (folder / "images" / file_name).exists():
        raise InputError(f"two images are called '{sample.name}'; rename one of {', '.join(sample.sources)}")
    mpp = sample.mpp if mpp is None else mpp
    write_png(folder / "images" / file_name, sample.image, mpp)
    write_png(folder / "labels" / file_name, sample.label.astype(np.uint16), mpp)
    item = {"image": f"images/{file_name}", "label": f"labels/{file_name}", "group": sample.group}
    remarks = {"label_source": sample.label_source, "kind": sample.kind}
    return item | {key: remark for key, remark in remarks.items() if remark}


@contextmanager
def _new_folder(destination: Path, overwrite: bool) -> Iterator[Path]:
    """A folder of a temporary name beside `destination` that takes its place at the end, or goes after an error."""
    _check_free(destination, overwrite)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".tmp", dir=destination.parent))
    except OSError as error:
        raise InputError(f"{destination}: cannot be made ({error.strerror}); choose another folder") from error
    try:
        new = workplace / "new"  # mkdtemp makes folders for the owner alone, mkdir for those whom the umask lets in
        new.mkdir()
        yield new
        if destination.exists():
            os.replace(destination, workplace / "old")
        os.replace(new, destination)
    except OSError as error:
        raise InputError(f"{destination}: cannot be written ({error.strerror or error}); free some space") from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _check_free(destination: Path, overwrite: bool) -> None:
    """Only an empty folder or, if asked, a data set that was prepared before may be replaced."""
    if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
        return
    if not overwrite:
        raise InputError(f"{destination} exists; choose another folder or give --overwrite")
    if not (destination / FILE_NAME).is_file():
        raise InputError(f"{destination} holds no {FILE_NAME}, so it is no prepared data set and is not overwritten")
