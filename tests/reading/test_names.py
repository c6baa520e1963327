from pathlib import Path

import pytest

from monai_seunet.data.images import find_images
from monai_seunet.reading.names import by_stem, find_slides, image_stem, is_image_name, list_files
from monai_seunet.utils.errors import InputError

LEFTOVERS = ("._a.png", ".DS_Store", ".a.png.tmp.png", "Thumbs.db", "desktop.ini", "notes.txt", "a.xml", "b.csv")


@pytest.fixture
def folder(tmp_path):
    for name in ("b.svs", "ä b.ome.TIF", "c.vms", "c_map2.jpg", "d.jpg", "v.nii.gz", *LEFTOVERS):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "c.vms").write_text("[Virtual Microscope Specimen]\nImageFile=c_map2.jpg\n")
    (tmp_path / "c2.jpg").write_bytes(b"the user's own")
    (tmp_path / "sub.svs").mkdir()
    return tmp_path


def test_folders_are_listed_without_what_is_none_of_the_user_s(folder):
    names = ["b.svs", "c.vms", "c2.jpg", "d.jpg", "v.nii.gz", "ä b.ome.TIF"]
    assert [path.name for path in list_files(folder)] == names
    assert [path.name for path in find_slides(folder)] == names
    assert [item["image"].rsplit("/", 1)[1] for item in find_images(folder)] == names
    assert [path.name for path in list_files(folder, [".xml"])] == ["a.xml"]


def test_folders_that_hold_nothing_are_refused(folder):
    (folder / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(InputError, match=name):
            find_slides(folder / name)
    with pytest.raises(InputError, match=r"a\.xml is a file; unpack it first"):
        list_files(folder / "a.xml" / "images")


@pytest.mark.parametrize(
    ("name", "stem", "known"),
    [
        ("x/y.MRXS", "y", True),
        ("a.nii.gz", "a", True),
        ("a.NII.GZ", "a", True),
        ("a.b.png", "a.b", True),
        ("a.ome.tif", "a.ome", True),
        ("y.txt", "y", False),
        ("a.gz", "a", False),
        ("a", "a", False),
    ],
)
def test_names_and_formats(name, stem, known):
    assert (image_stem(name), image_stem(Path(name)), is_image_name(name)) == (stem, stem, known)


def test_two_files_of_one_name_are_named(tmp_path):
    paths = [tmp_path / "a_img.png", tmp_path / "b_img.tif", tmp_path / "other.png"]
    assert by_stem(paths, "_img") == {"a": paths[0], "b": paths[1]}
    with pytest.raises(InputError, match=r"b_img\.png: b_img\.tif has the same name"):
        by_stem([*paths, tmp_path / "b_img.png"], "_img")
