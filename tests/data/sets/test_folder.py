import re
from functools import partial

import numpy as np
import pytest
import tifffile
from layouts import label_of, link_images, prepare, prepared_set, write_image, write_medical
from slide_files import noise

from monai_seunet.data.pairs import Layout, pair_files
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError

run = partial(prepare, "folder")


@pytest.fixture
def source(tmp_path):
    """Four images with class masks, in two formats."""
    folder = tmp_path / "mine"
    for number in range(4):
        write_image(folder / f"images/p{number // 2}_{number}.{'png' if number % 2 else 'tif'}", noise(8, 12))
        write_image(folder / f"masks/p{number // 2}_{number}.png", np.eye(8, 12, dtype=np.uint8))
    return folder


def labels_of(source):
    """Of the prepared images, by their names."""
    return {name: label_of(item) for name, item in prepared_set(source)[1].items()}


def test_class_masks_are_taken_as_they_are(source):
    assert run(source, "--mpp", "0.5", "--classes", "background, gland") == 0
    dataset, items = prepared_set(source)
    assert dataset.classes == ("background", "gland") and dataset.label_kind == "classes" and dataset.mpp == 0.5
    assert len(items) == 4
    assert all(np.array_equal(label_of(item), np.eye(8, 12)) for item in items.values())
    assert all(read_raster(item["image"]).mpp == pytest.approx(0.5, rel=1e-4) for item in items.values())


def test_groups_keep_a_patient_on_one_side(source):
    assert run(source, "--group", r"^(p\d)_", "--validation", "0.5") == 0
    dataset, _ = prepared_set(source)
    assert {item["group"] for item in dataset.training}.isdisjoint(item["group"] for item in dataset.validation)
    assert len(dataset.training) == len(dataset.validation) == 2


@pytest.mark.parametrize(("kind", "values"), [("classes", {0, 1}), ("instances", {0, 1, 2})])
def test_threshold_takes_jpeg_masks(source, kind, values):
    mask = np.zeros((8, 12), np.uint8)
    mask[:3, :3], mask[5:, 8:], mask[4, 4] = 250, 255, 6
    for path in (source / "masks").iterdir():
        write_image(path, np.dstack([mask] * 3))
    assert run(source, "--threshold", "128", "--label-kind", kind) == 0
    assert all(set(np.unique(label)) == values for label in labels_of(source).values())
    sources = {item.get("label_source") for item in prepared_set(source)[1].values()}
    assert sources == {"mask" if kind == "instances" else None}


def number_masks(source, *nuclei, dtype=np.uint8, suffix=".png"):
    """Masks with each nucleus a slice of rows, a slice of columns and a number; returns them, (8, 12)."""
    mask = np.zeros((8, 12), dtype)
    for rows, columns, number in nuclei:
        mask[rows, columns] = number
    for path in (source / "masks").iterdir():
        path.unlink()
        tifffile.imwrite(path.with_suffix(suffix), mask) if suffix == ".tif" else write_image(path, mask)
    return mask


@pytest.mark.parametrize("value", [1, 255])
def test_binary_masks_are_no_instances_unless_their_areas_are_to_be_numbered(source, capsys, value):
    one = number_masks(source, (slice(3), slice(3), value))
    two = number_masks(source, (slice(3), slice(3), value), (slice(5, 8), slice(8, 12), value))
    for name in ("p0_0", "p1_2"):
        write_image(source / f"masks/{name}.png", one)
    assert run(source, "--label-kind", "instances") == 1
    [error] = [line for line in capsys.readouterr().err.splitlines() if "p0_1.png: 1 number(s) for 2 separate" in line]
    assert "--threshold 1" in error and "--label-kind classes" in error
    items = prepared_set(source)[1]
    assert items.keys() == {"p0_0", "p1_2"} and not any("label_source" in item for item in items.values())
    assert run(source, "--label-kind", "instances", "--threshold", "1", "--overwrite") == 0
    item = prepared_set(source)[1]["p0_1"]
    assert item["label_source"] == "mask" and np.array_equal(label_of(item), (two > 0) * np.repeat([1, 2], 6))


def test_nuclei_of_one_number_that_lie_apart_become_two_with_a_word(source, capsys):
    mask = number_masks(
        source, (slice(3), slice(2), 9), (slice(3), slice(7, 9), 9), (slice(6, 8), slice(2), 4), (7, slice(3, 5), 4)
    )
    assert run(source, "--label-kind", "instances") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "lie apart" in line]
    assert len(lines) == 4 and "p0_0.png: 1 object(s) lie apart from others of the same number" in lines[0]
    for label in labels_of(source).values():
        assert np.array_equal(label > 0, mask > 0) and label[0, 0] != label[0, 7] and label[7, 0] == label[7, 3] == 4


@pytest.mark.parametrize("dtype", [np.uint32, np.float32])
def test_large_sparse_numbers_are_made_small(source, dtype):
    nuclei = (slice(3), slice(3), 100_000), (slice(3), slice(3, 6), 70_000), (slice(5, 8), slice(8, 12), 9_000_000)
    mask = number_masks(source, *nuclei, dtype=dtype, suffix=".tif")
    assert run(source, "--label-kind", "instances") == 0
    expected = np.searchsorted([0, 70_000, 100_000, 9_000_000], mask)
    assert all(np.array_equal(label, expected) for label in labels_of(source).values())


def test_an_image_of_more_nuclei_than_16_bits_number_is_skipped_by_name(source, capsys):
    number_masks(source, (slice(3), slice(3), 1))
    (source / "masks/p0_0.png").unlink()
    write_image(source / "images/p0_0.tif", noise(300, 300))
    tifffile.imwrite(source / "masks/p0_0.tif", np.arange(90_000, dtype=np.uint32).reshape(300, 300))
    assert run(source, "--label-kind", "instances") == 1
    assert "p0_0.tif: 89999 objects are more than 16 bits can number (65535); cut" in capsys.readouterr().err
    assert len(labels_of(source)) == 3


@pytest.mark.parametrize("value", [0.5, -1, np.nan])
def test_numbers_that_mean_nothing_are_skipped_by_name(source, capsys, value):
    mask = number_masks(source, (slice(3), slice(3), 1), dtype=np.float32, suffix=".tif")
    mask[5:, 5:] = value
    tifffile.imwrite(source / "masks/p0_0.tif", mask)
    assert run(source, "--label-kind", "instances") == 1
    assert re.search(r"p0_0\.tif: an? (instance )?label holds", capsys.readouterr().err)
    assert len(labels_of(source)) == 3


def test_nuclei_that_the_border_cuts_are_kept(source):
    corner, left, below = (0, slice(2), 1), (slice(3, 5), 0, 2), (7, slice(4, 6), 3)
    mask = number_masks(source, corner, left, below, (slice(2, 6), slice(9, 12), 4))
    assert run(source, "--label-kind", "instances") == 0
    assert len(labels_of(source)) == 4 and all(np.array_equal(label, mask) for label in labels_of(source).values())


@pytest.mark.parametrize("name", ["p0_0.nii.gz", "p0_0.mha", "p0_0.nrrd"])
def test_medical_formats_give_the_same_label(source, name):
    mask = np.eye(8, 12, dtype=np.uint8)
    (source / "masks/p0_0.png").unlink()
    write_medical(source / "masks" / name, mask)
    assert run(source) == 0 and np.array_equal(labels_of(source)["p0_0"], mask)


def test_grey_images_become_rgb_with_a_word_or_stay(source, capsys):
    grey = np.arange(96, dtype=np.uint16).reshape(8, 12) * 600
    for path in (source / "images").iterdir():
        path.unlink()
        write_image(path.with_suffix(".tif"), grey)
    assert run(source) == 1 and "4 of the images" in capsys.readouterr().err
    assert {read_raster(item["image"]).pixels.shape for item in prepared_set(source)[1].values()} == {(8, 12, 3)}
    assert run(source, "--grey", "--overwrite") == 0
    images = [read_raster(item["image"]).pixels for item in prepared_set(source)[1].values()]
    assert len(images) == 4 and all(np.array_equal(image, grey) for image in images)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda s: write_image(s / "masks/p0_0.png", np.full((8, 12), 3, np.uint8)),
            "the mask holds 3, but there are 2 classes (0 to 1); give --label-kind instances",
        ),
        (lambda s: write_image(s / "masks/p0_0.png", np.zeros((12, 8), np.uint8)), "its image has [8, 12] pixels"),
        (lambda s: write_image(s / "masks/p0_0.png", np.eye(8, 36, dtype=np.uint8).reshape(8, 12, 3)), "in colours"),
        (lambda s: (s / "masks/p0_0.png").unlink(), "p0_0.tif: no mask"),
        (lambda s: (s / "images/p0_0.tif").unlink(), "p0_0.png: no image"),
        (lambda s: (s / "images/p0_0.tif").write_bytes(b"x"), "p0_0.tif: cannot be read as a TIFF file"),
    ],
)
def test_a_bad_pair_is_skipped_and_listed(source, capsys, damage, message):
    damage(source)
    assert run(source) == 1
    assert message in capsys.readouterr().err and len(labels_of(source)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "nucleus"], "--classes is 'nucleus'"),
        (["--mpp", "0"], "--mpp is 0"),
        (["--images", "pictures"], "pictures: no such folder"),
        (["--group", "slide(.*)"], "finds no group"),
        (["--group", "slide(.*"], "no regular expression"),
        (["--validation", "1.5"], "validation 1.5"),
    ],
)
def test_wrong_options_end_in_one_line(source, refused, options, message):
    refused(run(source, *options), message)
    assert not (source.parent / "set").exists()


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (("a.png", "a_mask.png"), Layout(".", ".", "", "_mask")),
        (("a_img.png", "a.png"), Layout(".", ".", "_img", "")),
        (("a_img.png", "a_mask.png"), Layout(".", ".", "_img", "_mask")),
        (("x/a_rgb.tif", "y/a_label.png"), Layout("x", "y", "_rgb", "_label")),
    ],
)
def test_names_make_pairs(tmp_path, names, layout):
    for name in names:
        write_image(tmp_path / name, np.zeros((2, 2), np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    pairs, problems = pair_files(tmp_path, layout)
    assert pairs == {"a": tuple(tmp_path / name for name in names)} and problems == []


def test_one_folder_without_endings_pairs_nothing(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    pairs, problems = pair_files(tmp_path, Layout(".", "."))
    assert pairs == {} and len(problems) == 1


def test_the_same_name_in_two_formats_is_refused(tmp_path):
    for name in ("images/a.png", "images/a.tif", "masks/a.png"):
        write_image(tmp_path / name, np.zeros((2, 2), np.uint8))
    with pytest.raises(InputError, match="same name in another format"):
        pair_files(tmp_path, Layout())


def test_real_glands(data_dir, tmp_path):
    real = link_images(data_dir / "glas", tmp_path / "glas", [f"testA_{number}" for number in range(1, 11)])
    options = ["--threshold", "128", "--classes", "background,gland", "--mpp", "0.62"]
    assert run(real, *options) == 0
    dataset, _ = prepared_set(real)
    assert (len(dataset.training), len(dataset.validation)) == (8, 2)


def test_an_archive_is_to_be_unpacked(source, refused):
    archive = source.parent / "pictures.zip"
    archive.write_bytes(b"PK")
    refused(run(archive), "pictures.zip is a file; unpack it first")
