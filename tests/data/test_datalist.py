from __future__ import annotations

from pathlib import Path

import pytest

from monai_seunet.data.datalist import load_datalist, load_dataset
from monai_seunet.errors import InputError


@pytest.mark.parametrize("by_folder", [True, False])
def test_items_name_existing_files_absolutely(prepared, by_folder):
    path = prepared()
    items = load_datalist(path.parent if by_folder else path, "training")
    assert [item["group"] for item in items] == ["a"]
    assert Path(items[0]["image"]) == path.parent / "images/a.png"
    assert Path(items[0]["label"]) == path.parent / "labels/a.png"


def test_dataset_says_what_labels_and_pixels_mean(prepared):
    dataset = load_dataset(prepared(mpp=0.5, ignored_label=255))
    assert (dataset.num_classes, dataset.label_kind, dataset.mpp, dataset.ignored_label) == (2, "instances", 0.5, 255)


def test_unknown_mpp_is_none(prepared):
    assert load_dataset(prepared(mpp=None)).mpp is None


ITEM = {"image": "images/a.png", "label": "labels/a.png"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ...}, "'classes' is missing"),
        ({"classes": ["nucleus"]}, "at least two names"),
        ({"label_kind": "polygons"}, "'label_kind' is 'polygons'"),
        ({"mpp": -1}, "'mpp' is -1"),
        ({"mpp": True}, "'mpp' is True"),
        ({"ignored_label": 1}, "'ignored_label' is 1"),
        ({"trainning": []}, "unknown key 'trainning'"),
        ({"training": {}}, "must be a list"),
        ({"training": ["images/a.png"]}, r"training\[0\]"),
        ({"training": [{"image": "images/a.png"}]}, r"training\[0\]: the key 'label' is missing"),
        ({"training": [{**ITEM, "lable": "x"}]}, "unknown key 'lable'"),
        ({"training": [ITEM, {**ITEM, "image": "images/b.png"}]}, r"training\[1\]: .*b.png is missing"),
        ({"training": [{**ITEM, "image": "../outside.png"}]}, "lies outside"),
        ({"training": [{**ITEM, "image": "/etc/passwd"}]}, "lies outside"),
    ],
)
def test_a_wrong_file_is_refused_by_name(prepared, changes, message):
    path = prepared(**changes)
    with pytest.raises(InputError, match=message) as error:
        load_dataset(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_link_out_of_the_folder_is_refused(prepared, tmp_path):
    path = prepared()
    (tmp_path / "secret.png").write_bytes(b"x")
    (path.parent / "images/a.png").unlink()
    (path.parent / "images/a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match="lies outside"):
        load_dataset(path)


@pytest.mark.parametrize(("section", "message"), [("validation", "'validation' is empty"), ("val", "no section 'val'")])
def test_an_empty_or_unknown_section_is_refused(prepared, section, message):
    with pytest.raises(InputError, match=message):
        load_datalist(prepared(), section)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_what_is_no_dataset_is_refused(tmp_path, content):
    path = tmp_path / "dataset.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"dataset\.json"):
        load_dataset(path)


def test_no_name_hides_one_of_monai():
    """Short names in JSON are looked up over all modules; a second owner of a name would lose silently."""
    import monai.data
    import monai.transforms

    from monai_seunet.data import datalist, labels, reader

    ours = {
        name
        for module in (datalist, labels, reader)
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
    }
    assert {"PreparedDataset", "HistologyReader", "CheckLabelsd"} <= ours
    assert ours.isdisjoint(dir(monai.data)) and ours.isdisjoint(dir(monai.transforms))
