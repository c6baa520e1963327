"""Recognition of image files by their names, and the listing of folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import is_hidden, suffix_of

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".jp2", ".webp")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".lsm", ".qptiff")
MEDICAL_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
# Formats that only OpenSlide reads. TIFF is not among them, because it may be a scanner's or a plain file.
VENDOR_SUFFIXES = (".svs", ".svslide", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".dcm", ".czi")
SUFFIXES = (*PICTURE_SUFFIXES, *TIFF_SUFFIXES, *MEDICAL_SUFFIXES, *VENDOR_SUFFIXES)


def image_stem(path: str | Path) -> str:
    """Return the name of a file without folder and suffix, which names its outputs.

    >>> image_stem("scans/a.nii.gz")
    'a'
    """
    name = Path(path).name
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else Path(name).stem


def is_image_name(path: str | Path) -> bool:
    """Return whether the suffix of a file is one of a supported image or slide format."""
    return suffix_of(path) in SUFFIXES


def list_files(folder: str | Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Return the files of a folder that have one of the suffixes, sorted by name; subfolders are not searched.

    Hidden files are excluded, and so are parts of another file: the JPEG files of a Hamamatsu slide (`.vms`, `.vmu`),
    and all DICOM files of a series except the first.

    Args:
        folder: folder to list.
        suffixes: suffixes in lower case; by default those of all supported images.

    Raises:
        InputError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        archive = next((parent for parent in (folder, *folder.parents) if parent.is_file()), None)
        advice = f"{archive.name} is a file; unpack it first" if archive else "correct the path"
        raise InputError(f"{folder}: no such folder; {advice}")
    return images_among(folder.iterdir(), suffixes)


def images_among(paths: Iterable[Path], suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Return the paths that `list_files` would list, sorted by name."""
    files = sorted(path for path in paths if not is_hidden(path) and path.is_file())
    images = [path for path in files if suffix_of(path) in suffixes]
    parts = {*_jpegs_of_hamamatsu(files), *_repeated_dicom_series(images)}
    return [path for path in images if path not in parts]


def _jpegs_of_hamamatsu(files: Sequence[Path]) -> list[Path]:
    """Return the JPEG files that the index files of Hamamatsu slides name."""
    index_files = [path for path in files if path.suffix.lower() in (".vms", ".vmu")]
    texts = [(path.parent, path.read_text(encoding="utf-8", errors="replace")) for path in index_files]
    jpegs = [path for path in files if path.suffix.lower() == ".jpg"] if index_files else []
    return [path for path in jpegs if any(path.parent == folder and path.name in text for folder, text in texts)]


def _repeated_dicom_series(files: Sequence[Path]) -> list[Path]:
    dicom = [path for path in files if path.suffix.lower() == ".dcm"]
    if len(dicom) < 2:
        return []
    from monai_seunet.reading.formats.openslide import dicom_series

    first: dict[tuple[Path, str], Path] = {}
    return [path for path in dicom if first.setdefault((path.parent, dicom_series(path)), path) != path]


def partner_stem(path: str | Path) -> str:
    """Return the name that an image and its label share: `image_stem` without the `.ome` of `.ome.tif`."""
    stem = image_stem(path)
    return stem[: -len(".ome")] if stem.lower().endswith(".ome") else stem


def by_stem(paths: Iterable[Path], ending: str = "", stem_of: Callable[[Path], str] = partner_stem) -> dict[str, Path]:
    """Return the files whose stem has the ending, by their stem without the ending.

    Args:
        paths: files to select from.
        ending: end of the stem, such as `_mask`; other files are left out.
        stem_of: function that removes folder and suffix.

    Raises:
        InputError: two files have the same stem.

    >>> by_stem([Path("a_mask.png"), Path("a.png")], "_mask")
    {'a': PosixPath('a_mask.png')}
    """
    files: dict[str, Path] = {}
    for path in paths:
        stem = stem_of(path)
        if not stem.endswith(ending):
            continue
        name = stem.removesuffix(ending)
        if name in files:
            raise InputError(f"{path}: {files[name].name} has the same name in another format; keep one of them")
        files[name] = path
    return files


def find_slides(folder: str | Path) -> list[Path]:
    """Return the images and slides of a folder, see `list_files`, or raise an InputError if there is none."""
    paths = list_files(folder)
    if not paths:
        raise InputError(f"{folder}: holds no image that can be read; give another folder")
    return paths
