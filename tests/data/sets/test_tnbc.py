import numpy as np
import pytest
from layouts import write_image

from monai_seunet.cli import main
from monai_seunet.data.datalist import load_datalist, load_dataset
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError

NAMES = ("01_1", "01_2", "02_1", "11_1")
NUCLEI = np.zeros((12, 16), np.uint16)  # 1 and 2 touch, 7 meets 2 at a corner
NUCLEI[1:5, 1:8], NUCLEI[5:9, 1:8], NUCLEI[9:11, 8:14] = 1, 2, 7
BINARY = np.where(NUCLEI > 0, 255, 0).astype(np.uint8)


@pytest.fixture
def official(tmp_path, noise_image):
    """Four images of three patients as they are downloaded, the first with an alpha channel."""
    folder = tmp_path / "TNBC_NucleiSegmentation"
    for name in NAMES:
        pixels, patient = noise_image(12, 16), name[:2]
        alpha = np.full((12, 16, 1), 255, np.uint8)
        write_image(
            folder / f"Slide_{patient}" / f"{name}.png", np.dstack([pixels, alpha]) if name == "01_1" else pixels
        )
        write_image(folder / f"GT_{patient}" / f"{name}.png", BINARY)
    return folder


@pytest.fixture
def numbered(tmp_path, noise_image):
    """The same with numbers of the nuclei, in two folders."""
    for name in NAMES:
        write_image(tmp_path / "numbered/images" / f"{name}.png", noise_image(12, 16))
        write_image(tmp_path / "numbered/masks" / f"{name}.png", NUCLEI)
    return tmp_path / "numbered"


def run(source, *options):
    return main(["prepare", "tnbc", str(source), str(source.parent / "set"), *options])


def items_of(source):
    dataset = load_dataset(source.parent / "set")
    return dataset, {item["image"].rsplit("/", 1)[1]: item for item in dataset.training + dataset.validation}


def test_the_official_folder_gives_connected_areas_split_by_patient(official, noise_image, capsys):
    assert run(official, "--validation", "0.34") == 0, capsys.readouterr().err
    dataset, items = items_of(official)
    assert dataset.mpp == 0.25 and dataset.licence == "CC BY 4.0" and dataset.split["by"] == "patient"
    assert sorted(items) == [f"{name}.png" for name in NAMES] and len(dataset.sources) == 8
    sides = [{item["group"] for item in part} for part in (dataset.training, dataset.validation)]
    assert sides[0] | sides[1] == {"patient-01", "patient-02", "patient-11"} and not sides[0] & sides[1]
    assert [len(side) for side in sides] == [2, 1]
    assert np.array_equal(read_raster(items["01_1.png"]["image"]).pixels, noise_image(12, 16))
    for item in items.values():
        label = read_raster(item["label"]).pixels
        assert item["label_source"] == "mask" and label.max() == 2
        assert label[4, 1] == label[5, 1] != label[9, 8]


def test_official_masks_of_cell_types_are_no_numbers_of_nuclei(official):
    write_image(official / "GT_02/02_1.png", np.where(NUCLEI == 7, 3, NUCLEI > 0).astype(np.uint8))
    assert run(official) == 0
    item = items_of(official)[1]["02_1.png"]
    assert item["label_source"] == "mask" and read_raster(item["label"]).pixels.max() == 2


def test_numbers_in_masks_are_kept(numbered):
    assert run(numbered) == 0
    for item in items_of(numbered)[1].values():
        assert item["label_source"] == "instances"
        assert np.array_equal(read_raster(item["label"]).pixels, NUCLEI)


def test_the_whole_set_for_validation_is_refused_for_training(official):
    assert run(official, "--validation", "1") == 0
    dataset, _ = items_of(official)
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
    assert run(official) == 1
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning:" in line]
    assert len(warnings) == 1 and message in warnings[0]
    assert len(items_of(official)[1]) == 3


def test_another_layout_is_refused_in_one_line(official, refused):
    refused(run(official.parent), "Slide_01 with GT_01")
    assert not (official.parent.parent / "set").exists()


def test_real_images(data_dir, tmp_path):
    """The images of the numbered layout, and the same as links in the official one."""
    real = data_dir / "tnbc"
    assert main(["prepare", "tnbc", str(real), str(tmp_path / "set"), "--validation", "1"]) == 0
    dataset = load_dataset(tmp_path / "set")
    assert len(dataset.validation) == 50 and len({item["group"] for item in dataset.validation}) == 11
    nuclei = sum(len(np.unique(read_raster(item["label"]).pixels)) - 1 for item in dataset.validation)
    assert nuclei == 4056
    for name in ("03_1", "03_2", "07_1"):
        image, mask = tmp_path / f"src/Slide_{name[:2]}/{name}.png", read_raster(real / f"masks/{name}.png").pixels
        image.parent.mkdir(parents=True, exist_ok=True)
        image.symlink_to(real / f"images/{name}.png")
        write_image(tmp_path / f"src/GT_{name[:2]}/{name}.png", np.where(mask > 0, 255, 0).astype(np.uint8))
    assert main(["prepare", "tnbc", str(tmp_path / "src"), str(tmp_path / "again"), "--validation", "1"]) == 0
    labels = {item["image"].rsplit("/", 1)[1]: item["label"] for item in dataset.validation}
    again = load_dataset(tmp_path / "again").validation
    assert len(again) == 3
    for item in again:
        first = read_raster(labels[item["image"].rsplit("/", 1)[1]]).pixels
        assert len(np.unique(read_raster(item["label"]).pixels)) == len(np.unique(first))
