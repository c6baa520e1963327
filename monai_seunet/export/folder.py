"""Files and folders of exported models, which replace a model without loss of other files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

from monai_seunet.utils.errors import InputError, make_folder

DESCRIPTION = "rdf.yaml"  # description of a model of BioImage.IO
INSTANSEG_MODEL = "instanseg.pt"  # QuPath's extension takes a folder that has this file and rdf.yaml
# names of all files of a model of each format, with * for any text
INSTANSEG = (
    *(INSTANSEG_MODEL, DESCRIPTION),
    *("test_input.npy", "test_labels.npy", "test_measurements.npy", "*_README.md"),
)
BIOIMAGEIO = (
    *(DESCRIPTION, "README.md", "cover.png", "weights.onnx", "weights.pt"),
    *("sample_input.tif", "sample_output.tif", "test_input.npy", "test_output.npy"),
)


def check_target(path: str | Path, patterns: Sequence[str], overwrite: bool) -> None:
    """Check that a model can be written, before it is made.

    Args:
        path: file, or folder of the model if there are `patterns`.
        patterns: names of all files of such a folder; empty for a file.
        overwrite: whether to replace a model.

    Raises:
        InputError: the file exists, or see `replaced`.
    """
    path = Path(path)
    if patterns:
        _former(path.resolve(), patterns, overwrite)
    elif path.is_dir():
        raise InputError(f"{path}: a folder; give the name of a file")
    elif path.exists() and not overwrite:
        raise InputError(f"{path}: exists already; give another name or --overwrite")


@contextmanager
def replaced(folder: str | Path, patterns: Sequence[str], overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder whose files move to `folder` if the block succeeds.

    Invariant: an error in the block leaves `folder` as it was.
    Limits: the files move one by one, `rdf.yaml` last; `folder` itself stays, so it may be a mount point or the working
    directory.

    Args:
        folder: folder of the model; one that is empty or absent needs no `overwrite`.
        patterns: names of all files that such a model has, with `*` for any text.
        overwrite: whether to replace a model; its files that the new model lacks are removed.

    Raises:
        InputError: `folder` is a file, or holds a model without `overwrite`, or anything else.

    >>> folder = Path(TemporaryDirectory().name)
    >>> with replaced(folder, ["rdf.yaml"], overwrite=False) as new:
    ...     _ = (new / "rdf.yaml").write_text("name: nuclei")
    >>> [path.name for path in folder.iterdir()]
    ['rdf.yaml']
    """
    folder = Path(folder).resolve()
    _former(folder, patterns, overwrite)
    made = not folder.exists()
    make_folder(folder.parent if made else folder)
    with TemporaryDirectory(dir=folder.parent if made else folder, prefix=f".{folder.name}.") as parent:
        new = Path(parent) / "new"
        new.mkdir()
        yield new
        former = _former(folder, patterns, overwrite, ignored=Path(parent).name)  # files may have come in the meantime
        folder.mkdir(exist_ok=True)
        written = sorted((path.name for path in new.iterdir()), key=lambda name: (name == DESCRIPTION, name))
        for name in written:
            os.replace(new / name, folder / name)
        for name in former.difference(written):
            (folder / name).unlink()


def _former(folder: Path, patterns: Sequence[str], overwrite: bool, ignored: str = "") -> set[str]:
    """Return the names of the files of the model in a folder; refuse all that is not such a model."""
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise InputError(f"{folder}: a file; give the name of a folder")
    names = {path.name for path in folder.iterdir()} - {ignored}
    if names and not overwrite:
        raise InputError(f"{folder}: exists already; give another folder or --overwrite")
    if names and DESCRIPTION not in names:
        raise InputError(f"{folder}: holds no {DESCRIPTION}, so it is not replaced; give another folder")
    for name in sorted(names):
        if not (folder / name).is_file() or not any(fnmatchcase(name, pattern) for pattern in patterns):
            raise InputError(f"{folder / name}: no file of this format, so the folder is not replaced; give another")
    return names
