import numpy as np
import pytest
from layouts import label_of, link_images, prepare, prepared_set, write_image
from slide_files import noise

NAMES = ("train_1", "train_2", "testA_1", "testB_1")
GLANDS = np.zeros((12, 16), np.uint8)
GLANDS[1:5, 1:8], GLANDS[5:9, 1:8], GLANDS[2:9, 10:15] = 1, 2, 7


@pytest.fixture
def official(tmp_path):
    """Four images of two patients as they are downloaded."""
    folder = tmp_path / "Warwick QU Dataset"
    for name in NAMES:
        write_image(folder / f"{name}.bmp", noise(12, 16))
        write_image(folder / f"{name}_anno.bmp", GLANDS)
    rows = [f"{name}, {number % 2 + 1}, benign, healthy" for number, name in enumerate(NAMES)]
    head = "name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"
    (folder / "Grade.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def test_the_official_folder_is_split_by_patient(official):
    assert prepare("glas", official, "--validation", "0.5") == 0
    dataset, items = prepared_set(official)
    assert dataset.classes == ("background", "gland") and dataset.mpp == 0.62 and dataset.licence == "research only"
    assert dataset.split["by"] == "patient" and len(items) == 4
    assert {len({item["group"] for item in part}) for part in (dataset.training, dataset.validation)} == {1}
    assert {item["group"] for item in items.values()} == {"patient-1", "patient-2"}
    assert all(np.array_equal(label_of(item), GLANDS) for item in items.values())


def test_without_the_table_by_image(official):
    (official / "Grade.csv").unlink()
    assert prepare("glas", official) == 0
    dataset, items = prepared_set(official)
    assert dataset.split["by"] == "image" and {item["group"] for item in items.values()} == set(NAMES)


def test_an_image_that_the_table_lacks_is_listed(official, capsys):
    text = (official / "Grade.csv").read_text()
    (official / "Grade.csv").write_text("\n".join(line for line in text.splitlines() if "testB" not in line))
    assert prepare("glas", official) == 1
    assert "testB_1: not in Grade.csv" in capsys.readouterr().err and len(prepared_set(official)[1]) == 4


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_masks_of_0_and_255_give_connected_glands(tmp_path, suffix):
    mask = np.zeros((48, 64), np.uint8)
    mask[4:20, 4:24], mask[30:44, 40:60] = 255, 255
    for name in NAMES:
        write_image(tmp_path / f"src/images/{name}.jpg", noise(48, 64))
        write_image(tmp_path / f"src/masks/{name}.{suffix}", np.dstack([mask] * 3))
    assert prepare("glas", tmp_path / "src") == 0
    label = label_of(prepared_set(tmp_path / "src")[1][NAMES[0]])
    assert list(np.unique(label)) == [0, 1, 2] and (label[6:18, 6:22] == 1).all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: (s / "Grade.csv").write_text("image,patient\na,1\n"), "columns name and patient ID"),
        (lambda s: [path.unlink() for path in s.glob("*_anno.bmp")], "no image has a mask"),
    ],
)
def test_mistakes_end_in_one_line(official, refused, spoil, message):
    spoil(official)
    refused(prepare("glas", official), message)


def test_real_glands(data_dir, tmp_path):
    stems = [*(f"testA_{number}" for number in range(20, 30)), *(f"testB_{number}" for number in range(1, 11))]
    real = link_images(data_dir / "glas", tmp_path / "glas", stems)
    assert prepare("glas", real) == 0
    dataset, items = prepared_set(real)
    assert (len(dataset.training), len(dataset.validation)) == (16, 4)
    assert (label_of(items["testA_26"]).max(), label_of(items["testB_5"]).max()) == (3, 6)  # counted on the pictures
