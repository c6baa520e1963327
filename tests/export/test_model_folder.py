"""Replacement of the folder of an exported model: nothing of the user is lost."""

import pytest

from monai_seunet.export.folder import replaced
from monai_seunet.utils.errors import InputError

PATTERNS = ("rdf.yaml", "weights.pt", "*_README.md")


def write(folder, *names, text="old"):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(text)
    return folder


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def replace(folder, *names, overwrite=True):
    with replaced(folder, PATTERNS, overwrite) as new:
        write(new, *names, text="new")


def test_a_model_replaces_a_model_wholly(tmp_path):
    folder = write(tmp_path / "model", "rdf.yaml", "weights.pt", "old_README.md")
    replace(folder, "rdf.yaml", "new_README.md")
    assert content(folder) == {"rdf.yaml": "new", "new_README.md": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_working_directory_may_be_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    replace(".", "rdf.yaml", overwrite=False)
    assert content(tmp_path) == {"rdf.yaml": "new"}
    replace(".", "rdf.yaml", "weights.pt")
    assert content(tmp_path) == {"rdf.yaml": "new", "weights.pt": "new"}


@pytest.mark.parametrize("name", ["annotations.geojson", "weights.pt.bak"])
def test_files_of_the_user_are_kept(name, tmp_path):
    folder = write(tmp_path / "model", "rdf.yaml", name)
    with pytest.raises(InputError, match=f"{name}: no file of this format, so the folder is not replaced"):
        replace(folder, "rdf.yaml")
    assert content(folder) == {"rdf.yaml": "old", name: "old"}


def test_a_file_that_comes_during_the_export_is_kept(tmp_path):
    folder = write(tmp_path / "model", "rdf.yaml")
    with pytest.raises(InputError, match=r"mine.txt: no file of this format"), replaced(folder, PATTERNS, True) as new:
        write(new, "rdf.yaml", text="new")
        write(folder, "mine.txt")
    assert content(folder) == {"rdf.yaml": "old", "mine.txt": "old"}


def test_folders_and_other_models_are_refused(tmp_path):
    folder = write(tmp_path / "model", "rdf.yaml")
    with pytest.raises(InputError, match="model: exists already; give another folder or --overwrite"):
        replace(folder, "rdf.yaml", overwrite=False)
    (folder / "weights.pt").mkdir()
    with pytest.raises(InputError, match=r"weights.pt: no file of this format"):
        replace(folder, "rdf.yaml")
    with pytest.raises(InputError, match=r"mine: holds no rdf.yaml, so it is not replaced"):
        replace(write(tmp_path / "mine", "my_README.md"), "rdf.yaml")
    with pytest.raises(InputError, match=r"file: a file; give the name of a folder"):
        (tmp_path / "file").touch()
        replace(tmp_path / "file", "rdf.yaml")


def test_an_error_leaves_everything_as_it_was(tmp_path):
    folder = write(tmp_path / "model", "rdf.yaml")
    for target in (folder, tmp_path / "absent"):
        with pytest.raises(ZeroDivisionError), replaced(target, PATTERNS, True) as new:
            write(new, "rdf.yaml", text="new")
            1 / 0  # noqa: B018
    assert content(folder) == {"rdf.yaml": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
