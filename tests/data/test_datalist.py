from pathlib import Path

import pytest

from monai_seunet.data.datalist import SECTIONS, check_use, join_datasets, load_datalist, load_dataset
from monai_seunet.tracking import split_hash
from monai_seunet.utils.errors import InputError


@pytest.mark.parametrize("file", ["", "dataset.json"])
def test_items_name_existing_files_absolutely(several, file):
    folder = several()
    items = load_datalist(folder / file, "training")
    assert [item["group"] for item in items] == ["training0", "training1"]
    assert [Path(item["image"]) for item in items] == [folder / f"images/training{n}.png" for n in range(2)]
    assert [Path(item["label"]) for item in items] == [folder / f"labels/training{n}.png" for n in range(2)]


def test_dataset_says_what_labels_and_pixels_mean(several):
    dataset = load_dataset(several(mpp=0.5, ignored_label=255))
    assert (dataset.num_classes, dataset.label_kind, dataset.mpp, dataset.ignored_label) == (2, "instances", 0.5, 255)
    assert load_dataset(several(mpp=None)).mpp is None, "unknown"


def test_one_section_is_enough_and_none_is_refused(several):
    dataset = load_dataset(several(training=..., validation=...))
    assert (len(dataset.test), dataset.training, dataset.validation) == (2, [], [])
    check_use(dataset, ["test"], 2)
    with pytest.raises(InputError, match=r"the section 'validation' is empty \(filled: test\)"):
        check_use(dataset, ["test", "validation"], 2)
    with pytest.raises(InputError, match=r"has 2 classes \(background, nucleus\), but num_classes is 4"):
        check_use(dataset, ["test"], 4)
    with pytest.raises(InputError, match="has none of the sections training, validation, test"):
        load_dataset(several(training=..., validation=..., test=...))


ITEM = {"image": "images/test0.png", "label": "labels/test0.png"}


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
        ({"training": [ITEM["image"]]}, r"training\[0\]"),
        ({"training": [{"image": ITEM["image"]}]}, r"training\[0\]: the key 'label' is missing"),
        ({"training": [{**ITEM, "lable": "x"}]}, "unknown key 'lable'"),
        ({"training": [ITEM, {**ITEM, "image": "images/b.png"}]}, r"training\[1\]: .*b.png is missing"),
        ({"training": [{**ITEM, "image": "../outside.png"}]}, "lies outside"),
        ({"training": [{**ITEM, "image": "/etc/passwd"}]}, "lies outside"),
    ],
)
def test_a_wrong_file_is_refused_by_name(several, changes, message):
    folder = several(**changes)
    with pytest.raises(InputError, match=message) as error:
        load_dataset(folder)
    assert str(folder / "dataset.json") in str(error.value) and "\n" not in str(error.value)


def test_a_link_out_of_the_folder_is_refused(several, tmp_path):
    folder = several()
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / ITEM["image"]).unlink()
    (folder / ITEM["image"]).symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match="lies outside"):
        load_dataset(folder)


@pytest.mark.parametrize(("section", "message"), [("validation", "'validation' is empty"), ("val", "no section 'val'")])
def test_an_empty_or_unknown_section_is_refused(several, section, message):
    with pytest.raises(InputError, match=message):
        load_datalist(several(validation=...), section)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_what_is_no_dataset_is_refused(tmp_path, content):
    path = tmp_path / "dataset.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"dataset\.json"):
        load_dataset(path)


def test_several_data_sets_are_one(several):
    folders = [several("one"), several("two"), several("three")]
    parts = [load_dataset(folder) for folder in folders]
    joined = join_datasets(parts)
    assert joined.name == "one+two+three"
    for section in SECTIONS:
        items = [item for part in parts for item in part.items(section)]
        assert joined.items(section) == items and len(items) == 6
        owners = [Path(item["image"]).parent.parent for item in items]
        assert owners == [folder for folder in folders for _ in range(2)], "in the order that they were given in"
    assert joined.description == "About one. About two. About three."
    assert joined.licence == "licence of one; licence of two; licence of three"
    assert joined.sources == {f"{name}/all.zip": f"digest of {name}" for name in ("one", "two", "three")}
    assert joined.split == {"one": {"seed": 3}, "two": {"seed": 3}, "three": {"seed": 5}}
    assert (joined.classes, joined.label_kind, joined.mpp) == (("background", "nucleus"), "instances", 0.25)
    assert joined.path == parts[0].path
    assert join_datasets(parts[::-1]).name == "three+two+one"
    assert [len(part.training) for part in parts] == [2, 2, 2], "the parts stay"


def test_images_of_joined_data_sets_have_names_wherever_the_parts_lie(several, tmp_path):
    joined = load_dataset([several("one"), several("two")])
    assert [joined.name_of(item) for item in joined.training] == [
        f"{name}/images/training{n}.png" for name in ("one", "two") for n in range(2)
    ]
    single = load_dataset(tmp_path / "two")
    assert single.name_of(single.test[1]) == "images/test1.png"
    before = split_hash(joined)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "two").rename(tmp_path / "elsewhere" / "two")
    assert split_hash(load_dataset([tmp_path / "one", tmp_path / "elsewhere" / "two"])) == before
    assert split_hash(single) != before


def test_a_data_set_is_not_joined_with_itself(several):
    with pytest.raises(InputError, match=r"dataset_dir names data sets \['one', 'one'\]; give each once"):
        load_dataset([several("one"), several("one")])


def test_a_list_of_folders_is_loaded_as_one_data_set(several):
    folders = [several("one"), several("two")]
    for paths in (folders, tuple(map(str, folders)), [folders[0] / "dataset.json", str(folders[1])]):
        joined = load_dataset(paths)
        assert joined == join_datasets([load_dataset(folder) for folder in folders])
        assert load_datalist(paths, "test") == joined.test
    alone = load_dataset([folders[0]])
    assert (alone.name, alone.training, alone.licence) == ("one", load_dataset(folders[0]).training, "licence of one")


@pytest.mark.parametrize("other", [0.5, None])
def test_mpp_that_differ_are_unknown_together_and_a_licence_is_named_once(several, other):
    paths = [several("one", licence="free"), several("two", licence="bound", mpp=other), several("six", licence="free")]
    joined = load_dataset(paths)
    assert joined.licence == "free; bound" and joined.mpp is None and load_dataset(paths[:1]).mpp == 0.25


def test_a_section_may_be_filled_by_some_alone(several):
    paths = [several("one", validation=[]), several("two"), several("three", validation=[], test=[])]
    joined = load_dataset(paths)
    assert joined.validation == load_dataset(paths[1]).validation and len(joined.test) == 4
    with pytest.raises(InputError, match="'validation' is empty"):
        load_dataset([paths[0], paths[2]]).items("validation")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["background", "gland"]}, r"classes .*nucleus.* and .*gland.* do not go together"),
        ({"classes": ["background", "nucleus", "other"]}, "classes"),
        ({"label_kind": "classes"}, "label_kind 'instances' and 'classes' do not go together"),
        ({"ignored_label": 255}, "ignored_label None and 255 do not go together"),
    ],
)
def test_data_sets_that_mean_something_else_are_not_joined(several, changes, message):
    paths = [several("one"), several("two"), several("three", **changes)]
    assert load_dataset(paths[:2]).name == "one+two"
    with pytest.raises(InputError, match=message) as error:
        load_dataset(paths)
    assert all(str(path / "dataset.json") in str(error.value) for path in (paths[0], paths[2]))
    assert "\n" not in str(error.value)


def test_no_data_set_at_all_and_one_that_is_missing_are_refused(several, tmp_path):
    for nothing in ([], ()):
        with pytest.raises(InputError, match="give at least one folder"):
            load_dataset(nothing)
    with pytest.raises(InputError, match="nowhere: no such data set"):
        load_dataset([several("one"), tmp_path / "nowhere"])


def test_no_name_hides_one_of_monai():
    """Short names in JSON are looked up over all modules; a second owner of a name would lose silently."""
    import monai.data
    import monai.transforms

    from monai_seunet.data import datalist
    from monai_seunet.reading import reader
    from monai_seunet.transforms import labels

    ours = {
        name
        for module in (datalist, labels, reader)
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
    }
    assert {"PreparedDataset", "HistologyReader", "CheckLabelsd"} <= ours
    assert ours.isdisjoint(dir(monai.data)) and ours.isdisjoint(dir(monai.transforms))
