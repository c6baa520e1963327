"""Which files are images, by their names, and the listing of folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import is_hidden, suffix_of

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".jp2", ".webp")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".lsm", ".qptiff")
MEDICAL_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
# Formats that OpenSlide alone reads. TIFF is left out: it may be a scanner's, or a plain one.
VENDOR_SUFFIXES = (".svs", ".svslide", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".dcm", ".czi")
SUFFIXES = (*PICTURE_SUFFIXES, *TIFF_SUFFIXES, *MEDICAL_SUFFIXES, *VENDOR_SUFFIXES)


def image_stem(path: str | Path) -> str:
    """The name of a file without folder and suffix, from which outputs are named and partners are found."""
    name = Path(path).name
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else Path(name).stem


def is_image_name(path: str | Path) -> bool:
    """Whether a file's name has a suffix of an image or a slide that can be read."""
    return suffix_of(path) in SUFFIXES


def list_files(folder: str | Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The files of a folder, not of its subfolders, that have one of some suffixes; sorted by name.

    Every command lists folders by this function. Hidden files are left out, and so are files that are parts of another
    one: JPEG files of a Hamamatsu slide (`.vms`, `.vmu`), and all DICOM files of a series but the first.

    Args:
        folder: to look into.
        suffixes: in lower case; by default those of all images that can be read.

    Raises:
        InputError: where there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        archive = next((parent for parent in (folder, *folder.parents) if parent.is_file()), None)
        advice = f"{archive.name} is a file; unpack it first" if archive else "correct the path"
        raise InputError(f"{folder}: no such folder; {advice}")
    return images_among(folder.iterdir(), suffixes)


def images_among(paths: Iterable[Path], suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Those of some paths that are files of the user with one of some suffixes, see `list_files`; sorted by name."""
    found = sorted(path for path in paths if not is_hidden(path) and path.is_file())
    listed = [path for path in found if suffix_of(path) in suffixes]
    parts = {*_jpegs_of_hamamatsu(found), *_repeated_dicom_series(listed)}
    return [path for path in listed if path not in parts]


def _jpegs_of_hamamatsu(found: Sequence[Path]) -> list[Path]:
    """The JPEG files that the lists of Hamamatsu slides name."""
    lists = [path for path in found if path.suffix.lower() in (".vms", ".vmu")]
    texts = [(path.parent, path.read_text(encoding="utf-8", errors="replace")) for path in lists]
    jpegs = [path for path in found if path.suffix.lower() == ".jpg"] if lists else []
    return [path for path in jpegs if any(path.parent == folder and path.name in text for folder, text in texts)]


def _repeated_dicom_series(found: Sequence[Path]) -> list[Path]:
    dicom = [path for path in found if path.suffix.lower() == ".dcm"]
    if len(dicom) < 2:
        return []
    from monai_seunet.reading.formats.openslide import dicom_series

    first: dict[tuple[Path, str], Path] = {}
    return [path for path in dicom if first.setdefault((path.parent, dicom_series(path)), path) != path]


def partner_stem(path: str | Path) -> str:
    """The name by which an image finds its label: `image_stem` without the `.ome` of `.ome.tif`."""
    stem = image_stem(path)
    return stem[: -len(".ome")] if stem.lower().endswith(".ome") else stem


def by_stem(paths: Iterable[Path], ending: str = "", stem_of: Callable[[Path], str] = partner_stem) -> dict[str, Path]:
    """Files by their names without suffix, those alone whose names end so; the ending is taken off.

    Args:
        paths: of the files.
        ending: of names before the suffix.
        stem_of: takes the suffix off.

    Raises:
        InputError: where two have one name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        stem = stem_of(path)
        if not stem.endswith(ending):
            continue
        name = stem.removesuffix(ending)
        if name in found:
            raise InputError(f"{path}: {found[name].name} has the same name in another format; keep one of them")
        found[name] = path
    return found


def find_slides(folder: str | Path) -> list[Path]:
    """All images and slides of a folder, see `list_files`.

    Raises:
        InputError: where the folder is missing or holds none.
    """
    found = list_files(folder)
    if not found:
        raise InputError(f"{folder}: holds no slide or image that can be read; give another folder")
    return found
