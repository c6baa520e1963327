import numpy as np
import pytest
from layouts import label_of, prepare, prepared_set, warnings_of, write_image
from slide_files import noise

from monai_seunet.data.datalist import load_datalist
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError

NAMES = ("01_1", "01_2", "02_1", "11_1")
NUCLEI = np.zeros((12, 16), np.uint16)  # 1 and 2 touch, 7 meets 2 at a corner
NUCLEI[1:5, 1:8], NUCLEI[5:9, 1:8], NUCLEI[9:11, 8:14] = 1, 2, 7
BINARY = np.where(NUCLEI > 0, 255, 0).astype(np.uint8)


@pytest.fixture
def official(tmp_path):
    """Four images of three patients as they are downloaded, the first with an alpha channel."""
    folder = tmp_path / "TNBC_NucleiSegmentation"
    for name in NAMES:
        write_image(folder / f"Slide_{name[:2]}/{name}.png", noise(12, 16))
        write_image(folder / f"GT_{name[:2]}/{name}.png", BINARY)
    alpha = np.full((12, 16, 1), 255, np.uint8)
    write_image(folder / "Slide_01/01_1.png", np.dstack([noise(12, 16), alpha]))
    return folder


def test_the_official_folder_gives_connected_areas_split_by_patient(official, capsys):
    assert prepare("tnbc", official, "--validation", "0.34") == 0, capsys.readouterr().err
    dataset, items = prepared_set(official)
    assert dataset.mpp == 0.25 and dataset.licence == "CC BY 4.0" and dataset.split["by"] == "patient"
    assert sorted(items) == list(NAMES) and len(dataset.sources) == 8
    sides = [{item["group"] for item in part} for part in (dataset.training, dataset.validation)]
    assert sides[0] | sides[1] == {"patient-01", "patient-02", "patient-11"} and not sides[0] & sides[1]
    assert [len(side) for side in sides] == [2, 1]
    assert np.array_equal(read_raster(items["01_1"]["image"]).pixels, noise(12, 16))
    for item in items.values():
        label = label_of(item)
        assert item["label_source"] == "mask" and label.max() == 2
        assert label[4, 1] == label[5, 1] != label[9, 8]


def test_official_masks_of_cell_types_are_no_numbers_of_nuclei(official):
    write_image(official / "GT_02/02_1.png", np.where(NUCLEI == 7, 3, NUCLEI > 0).astype(np.uint8))
    assert prepare("tnbc", official) == 0
    item = prepared_set(official)[1]["02_1"]
    assert item["label_source"] == "mask" and label_of(item).max() == 2


def test_numbers_in_masks_are_kept(tmp_path):
    """In the layout of two folders."""
    for name in NAMES:
        write_image(tmp_path / f"numbered/images/{name}.png", noise(12, 16))
        write_image(tmp_path / f"numbered/masks/{name}.png", NUCLEI)
    assert prepare("tnbc", tmp_path / "numbered") == 0
    for item in prepared_set(tmp_path / "numbered")[1].values():
        assert item["label_source"] == "instances" and np.array_equal(label_of(item), NUCLEI)


def test_the_whole_set_for_validation_is_refused_for_training(official):
    assert prepare("tnbc", official, "--validation", "1") == 0
    dataset, _ = prepared_set(official)
    assert (len(dataset.training), len(dataset.validation), len(dataset.test)) == (0, 4, 0)
    with pytest.raises(InputError, match=r"dataset\.json: the section 'training' is empty \(filled: validation\)"):
        load_datalist(dataset.path, "training")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: (s / "GT_01/01_2.png").unlink(), "01_2.png: no mask or outlines of this name"),
        (lambda s: (s / "Slide_01/01_2.png").unlink(), "01_2.png: no image of this name"),
        (lambda s: (s / "Slide_02").rename(s / "02"), "GT_02: no Slide_02 beside it"),
        (lambda s: (s / "GT_02").rename(s / "02"), "Slide_02: no GT_02 beside it"),
        (lambda s: (s / "Slide_02/02_1.png").write_bytes(b"rubbish"), "02_1.png: cannot be read"),
        (lambda s: write_image(s / "GT_02/02_1.png", BINARY.T), "the label has shape [16, 12], its image has [12, 16]"),
        (lambda s: [(s / f"{kind}_02/02_1.png").rename(s / f"{kind}_02/a.png") for kind in ("Slide", "GT")], "a.png:"),
        (
            lambda s: [(s / f"{kind}_11/11_1.png").rename(s / f"{kind}_11/12_1.png") for kind in ("Slide", "GT")],
            "patient 12 has no breast cancer",
        ),
    ],
)
def test_what_cannot_be_used_is_listed_and_the_rest_prepared(official, capsys, spoil, message):
    spoil(official)
    assert prepare("tnbc", official) == 1
    [warning] = warnings_of(capsys)
    assert message in warning and len(prepared_set(official)[1]) == 3


def test_another_layout_is_refused_in_one_line(official, refused):
    refused(prepare("tnbc", official.parent), "Slide_01 with GT_01")
    assert not (official.parent.parent / "set").exists()


def test_real_images(data_dir, tmp_path):
    """The images of the numbered layout, and the same as links in the official one."""
    real, numbered = data_dir / "tnbc", tmp_path / "numbered"
    numbered.symlink_to(real)
    assert prepare("tnbc", numbered, "--validation", "1") == 0
    dataset, items = prepared_set(numbered)
    assert len(dataset.validation) == len(items) == 50 and len({item["group"] for item in items.values()}) == 11

    nuclei = {name: len(np.unique(label_of(item))) - 1 for name, item in items.items()}
    assert sum(nuclei.values()) == 4056
    for name in ("03_1", "03_2", "07_1"):
        image, mask = tmp_path / f"src/Slide_{name[:2]}/{name}.png", read_raster(real / f"masks/{name}.png").pixels
        image.parent.mkdir(parents=True, exist_ok=True)
        image.symlink_to(real / f"images/{name}.png")
        write_image(tmp_path / f"src/GT_{name[:2]}/{name}.png", np.where(mask > 0, 255, 0).astype(np.uint8))
    assert prepare("tnbc", tmp_path / "src", "--validation", "1", "--overwrite") == 0
    again = prepared_set(tmp_path / "src")[1]
    assert len(again) == 3
    assert all(len(np.unique(label_of(item))) - 1 == nuclei[name] for name, item in again.items())
