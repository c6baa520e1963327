"""Which images a file, a folder or a pattern names."""

import os
from pathlib import Path

import pytest

from monai_seunet.data.images import find_images
from monai_seunet.utils.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.TIF", "notes.txt", ".hidden.png", "deeper/c.nii.gz", "deeper/d.ome.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(items: list[dict[str, str]]) -> list[str]:
    assert all(os.path.isabs(item["image"]) for item in items)
    return [Path(item["image"]).name for item in items]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ["a.TIF", "b.png"]),
        ("b.png", ["b.png"]),
        ("*", ["a.TIF", "b.png"]),
        ("**/*", ["a.TIF", "b.png", "c.nii.gz", "d.ome.tif"]),
        ("deeper", ["c.nii.gz", "d.ome.tif"]),
    ],
)
def test_files_folders_and_patterns(folder, source, expected):
    assert names(find_images(folder / source)) == expected


def test_several_sources_without_repetition(folder):
    found = names(find_images([str(folder / "b.png"), str(folder), folder / "deeper/c.nii.gz"]))
    assert found == ["a.TIF", "b.png", "c.nii.gz"]


def test_relative_paths(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names(find_images("b.png")) == ["b.png"]


@pytest.mark.parametrize("other", ["b.jpg", "deeper/b.png", "b.nii.gz"])
def test_two_images_of_one_name_are_refused(folder, other):
    (folder / other).touch()
    with pytest.raises(InputError, match=r"b\..* and .*b\..* have the same name"):
        find_images(folder / "**/*")


def test_outputs_of_other_images_are_left_out_and_said(folder, caplog):
    ends = ("label.png", "probability.tif", "scale.png", "overlay.png", "scales_overlay.png", "label_label.png")
    for name in (*(f"b_{end}" for end in ends), "c_label.png", "b_labels.png", "label.png", "deeper/b_label.png"):
        (folder / name).touch()
    kept = ["a.TIF", "b.png", "b_labels.png", "c_label.png", "label.png"]
    assert names(find_images(folder)) == kept
    assert caplog.messages == [
        "6 file(s) left out, because their names are those of outputs of other images; the first is "
        f"{folder / 'b_label.png'}"
    ]
    assert names(find_images([folder / "b_label.png"])) == ["b_label.png"], "named alone"
    assert names(find_images(folder / "deeper" / "*.png")) == ["b_label.png"], "of an image that is not there"


@pytest.mark.parametrize("source", ["nothing.png", "*.gif", "empty", "notes/*"])
def test_nothing_found_is_an_error(folder, source):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=r"no such image|no image that can be read"):
        find_images(folder / source)
    with pytest.raises(InputError, match="no image was named"):
        find_images([])
