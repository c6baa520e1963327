import numpy as np
import pytest
from layouts import label_of, prepare, prepared_set, write_image
from slide_files import noise

from monai_seunet.data.sets.bcss import GROUPS, IGNORED, class_table, institution_split, read_codes
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError

TISSUES = (
    "outside_roi tumor stroma lymphocytic_infiltrate necrosis_or_debris glandular_secretions blood exclude "
    "metaplasia_NOS fat plasma_cells other_immune_infiltrate mucoid_material normal_acinus_or_duct lymphatics "
    "undetermined nerve skin_adnexa blood_vessel angioinvasion dcis other"
).split()
# The class of each code 0 ... 21, written down by hand.
CLASSES = [255, 0, 1, 2, 3, 4, 4, 4, 4, 4, 2, 2, 4, 4, 4, 4, 4, 4, 4, 0, 0, 4]


def name(institution: str, patient: str = "A0SK") -> str:
    return f"TCGA-{institution}-{patient}-DX1_xmin45749_ymin25055_MPP-0.2500"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "bcss"
    mask = np.arange(40 * 60, dtype=np.uint8).reshape(40, 60) % 22
    mask[:20, :20] = 0
    for image in (name("A1"), name("A2"), name("AR"), name("BH"), name("OL"), name("E2")):
        write_image(folder / f"rgbs_colorNormalized/{image}.png", noise(40, 60))
        write_image(folder / f"masks/{image}.png", mask)
    lines = ["label\tGT_code", *(f"{tissue}\t{code}" for code, tissue in enumerate(TISSUES))]
    (folder / "meta").mkdir()
    (folder / "meta/gtruth_codes.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_codes_become_the_five_classes_and_the_test_set_is_that_of_the_institutions(source):
    assert prepare("bcss", source) == 0
    dataset, items = prepared_set(source)
    assert dataset.classes == tuple(GROUPS) and dataset.ignored_label == IGNORED and dataset.label_kind == "classes"
    assert dataset.mpp == 0.25
    mask = read_raster(source / f"masks/{name('A1')}.png").pixels
    assert all(np.array_equal(label_of(item), np.array(CLASSES)[mask]) for item in [*items.values(), *dataset.test])
    assert sorted(item["group"] for item in dataset.test) == ["TCGA-E2-A0SK", "TCGA-OL-A0SK"]
    assert (len(dataset.training), len(dataset.validation)) == (3, 1)


def test_institutions_are_the_second_field_alone():
    groups = ["TCGA-OL-A1", "TCGA-A1-OL", "TCGA-A2-B1", "OL", "x"]
    sections, how = institution_split(("OL",), 0.2, seed=0)(groups)
    assert [group for group, section in sections.items() if section == "test"] == ["TCGA-OL-A1"]
    assert how["test"] == "institutions OL"


def test_tiles_cover_all_that_is_annotated(source):
    assert prepare("bcss", source, "--tile", "20") == 0
    tiles = [item for item in prepared_set(source)[0].test if "OL" in item["group"]]
    assert len(tiles) == 2 * 3 - 1  # the tile at the top left is outside the region
    whole, mask = np.full((40, 60), 255), read_raster(source / f"masks/{name('OL')}.png").pixels
    for item in tiles:
        row, column = (int(part[1:]) for part in item["image"].removesuffix(".png").split("_")[-2:])
        whole[row : row + 20, column : column + 20] = label_of(item)
    assert np.array_equal(whole, np.array(CLASSES)[mask])


def test_an_image_smaller_than_a_tile_is_listed(source, capsys):
    write_image(source / f"rgbs_colorNormalized/{name('A1')}.png", noise(10, 60))
    write_image(source / f"masks/{name('A1')}.png", np.ones((10, 60), np.uint8))
    assert prepare("bcss", source, "--tile", "20") == 1
    assert "less than one tile of 20" in capsys.readouterr().err


def test_a_value_without_meaning_is_listed(source, capsys):
    write_image(source / f"masks/{name('A1')}.png", np.full((40, 60), 22, np.uint8))
    assert prepare("bcss", source) == 1
    assert "holds values that gtruth_codes.tsv does not name" in capsys.readouterr().err


def test_table_covers_all_codes(source):
    table = class_table(read_codes(source / "meta/gtruth_codes.tsv"))
    assert table[:22].tolist() == CLASSES and (table[22:] == -1).all()


@pytest.mark.parametrize(
    "text", ["", "label\tcode\ntumor\t1\n", "label\tGT_code\ntumor\tone\n", "label\tGT_code\ntumor\t1\n"]
)
def test_a_wrong_table_is_refused(tmp_path, text):
    (tmp_path / "codes.tsv").write_text(text)
    with pytest.raises(InputError, match=r"codes\.tsv"):
        read_codes(tmp_path / "codes.tsv")


@pytest.mark.parametrize("missing", ["rgbs_colorNormalized", "masks", "meta"])
def test_another_layout_is_refused_in_one_line(source, refused, missing):
    (source / missing).rename(source.parent / "moved")
    refused(prepare("bcss", source), missing)
