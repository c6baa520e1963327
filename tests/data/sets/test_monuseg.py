import numpy as np
import pytest
from annotation_files import imagescope, layer, region
from layouts import label_of, prepare, prepared_set, warnings_of, write_image
from slide_files import noise

NAMES = [f"TCGA-AA-{number:04d}-01Z-00-DX1" for number in range(5)]
TOUCHING = ([(2, 2), (8, 2), (8, 8), (2, 8)], [(9, 2), (14, 2), (14, 8), (9, 8)])


def xml(*outlines):
    return imagescope(layer(*map(region, outlines)))


@pytest.fixture
def source(tmp_path):
    """Five images: three with XML, of which one has remarks, one with a mask only, one with nothing."""
    folder = tmp_path / "MoNuSeg"
    for number, name in enumerate(NAMES):
        write_image(folder / "Tissue Images" / f"{name}.tif", noise(20, 30, seed=number))
    (folder / "Annotations").mkdir()
    for name in NAMES[:2]:
        (folder / "Annotations" / f"{name}.xml").write_text(xml(*TOUCHING))
    odd = xml([(20, 10), (60, 10), (60, 15), (20, 15)], [(100, 100), (110, 100), (110, 110)], *TOUCHING)
    (folder / "Annotations" / f"{NAMES[2]}.xml").write_text(odd)
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 2:5] = mask[10:14, 20:25] = 1
    write_image(tmp_path / "masks" / f"{NAMES[3]}.png", mask)
    return folder


def run(source):
    """With the masks beside the source."""
    return prepare("monuseg", source, "--masks", str(source.parent / "masks"))


def items_of(source):
    dataset, items = prepared_set(source)
    return dataset, {item["group"]: item for item in items.values()}


def test_outlines_become_instances_and_remarks_are_listed(source, capsys):
    assert run(source) == 1
    warnings = warnings_of(capsys)
    assert len(warnings) == 3
    assert f"{NAMES[2]}.xml: 1 outline(s) run over the edge" in warnings[0]
    assert f"{NAMES[2]}.xml: 1 outline(s) lie outside" in warnings[1]
    assert f"{NAMES[4]}.tif: no outlines" in warnings[2]
    dataset, items = items_of(source)
    assert {group: item["label_source"] for group, item in items.items()} == {
        "TCGA-AA-0000": "outlines",
        "TCGA-AA-0001": "outlines",
        "TCGA-AA-0002": "outlines",
        "TCGA-AA-0003": "mask",
    }
    label = label_of(items["TCGA-AA-0000"])
    assert label.dtype == np.uint16 and (label[5, 8], label[5, 9]) == (1, 2)
    assert len(np.unique(label_of(items["TCGA-AA-0003"]))) == 3
    assert dataset.mpp == 0.25 and len(dataset.sources) == 8


def test_outlines_that_others_cover_are_listed(source, capsys):
    small = [(3, 3), (5, 3), (5, 5), (3, 5)]
    (source / "Annotations" / f"{NAMES[2]}.xml").write_text(xml(small, small, *TOUCHING))
    assert prepare("monuseg", source) == 1
    [warning] = [line for line in warnings_of(capsys) if f"{NAMES[2]}.xml" in line]
    assert "1 outline(s) are covered by others; skipped (number 1 of its outlines)" in warning


def test_numbers_in_masks_are_kept_and_outlines_win_over_them(source, tmp_path):
    mask = np.zeros((20, 30), np.uint16)
    mask[2:5, 2:8], mask[5:9, 2:8], mask[9:11, 2:8] = 300, 40000, 300  # one lies on the other and cuts it in two
    for name in (NAMES[0], NAMES[3]):
        write_image(tmp_path / "masks" / f"{name}.png", mask)
    assert run(source) == 1
    _, items = items_of(source)
    assert items["TCGA-AA-0003"]["label_source"] == "instances"
    assert np.array_equal(label_of(items["TCGA-AA-0003"]), mask)
    assert items["TCGA-AA-0000"]["label_source"] == "outlines" and label_of(items["TCGA-AA-0000"]).max() == 2


@pytest.mark.parametrize("value", [1, 7, 255])
def test_a_binary_mask_may_have_any_value(source, tmp_path, value):
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 2:5] = mask[5:9, 5:9] = value  # they meet at a corner
    write_image(tmp_path / "masks" / f"{NAMES[3]}.png", mask)
    assert run(source) == 1
    item = items_of(source)[1]["TCGA-AA-0003"]
    label = label_of(item)
    assert item["label_source"] == "mask" and (label[2, 2], label[8, 8]) == (1, 2)


def test_masks_in_colours_and_of_another_size_are_skipped(source, tmp_path, capsys):
    write_image(tmp_path / "masks" / f"{NAMES[2]}.png", np.zeros((30, 20), np.uint8))
    (source / "Annotations" / f"{NAMES[2]}.xml").unlink()
    write_image(tmp_path / "masks" / f"{NAMES[3]}.png", noise(20, 30))
    assert run(source) == 1
    errors = capsys.readouterr().err
    assert "the label has shape [30, 20], its image has [20, 30]" in errors
    assert f"{NAMES[3]}.png: a mask in colours" in errors


def test_lonely_xml_and_mask_are_listed(source, tmp_path, capsys):
    (source / "Annotations/TCGA-ZZ.xml").write_text(xml(*TOUCHING))
    write_image(tmp_path / "masks/other.png", np.zeros((2, 2), np.uint8))
    assert run(source) == 1
    errors = capsys.readouterr().err
    assert "TCGA-ZZ.xml: no image" in errors and "other.png: no image" in errors


def test_a_broken_image_is_skipped_and_the_rest_prepared(source, capsys):
    (source / "Tissue Images" / f"{NAMES[0]}.tif").write_bytes(b"II*\0rubbish")
    assert prepare("monuseg", source) == 1
    assert f"{NAMES[0]}.tif: the TIFF file holds no image, or was cut off" in capsys.readouterr().err
    assert len(items_of(source)[1]) == 2


def test_all_fine_ends_with_zero(source):
    for name in NAMES[2:]:
        (source / "Tissue Images" / f"{name}.tif").unlink()
        (source / "Annotations" / f"{name}.xml").unlink(missing_ok=True)
    assert prepare("monuseg", source, "--validation", "0.5") == 0


@pytest.mark.parametrize("missing", ["Tissue Images", "Annotations"])
def test_another_layout_is_refused_in_one_line(source, tmp_path, refused, missing):
    (source / missing).rename(tmp_path / "moved")
    refused(prepare("monuseg", source), missing)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("kind", "label_source", "nuclei"), [("binary_masks", "mask", 1039), ("instance_masks", "instances", 1073)]
)
def test_real_folder(data_dir, tmp_path, capsys, kind, label_source, nuclei):
    """A few images of the official folder, as links, with the published masks."""
    real = data_dir / "monuseg"
    chosen = ["TCGA-CH-5767-01Z-00-DX1", "TCGA-G9-6362-01Z-00-DX1", "TCGA-HE-7128-01Z-00-DX1"]
    for folder, suffix in (("Tissue Images", "tif"), ("Annotations", "xml")):
        (tmp_path / "src" / folder).mkdir(parents=True)
        for name in chosen:
            file = real / "MoNuSeg 2018 Training Data" / folder / f"{name}.{suffix}"
            if file.exists():
                (tmp_path / "src" / folder / file.name).symlink_to(file)
    (tmp_path / "masks").mkdir()
    for name in chosen:
        (tmp_path / "masks" / f"{name}.png").symlink_to(real / kind / f"{name}.png")
    assert run(tmp_path / "src") == 0, capsys.readouterr().err
    items = items_of(tmp_path / "src")[1].values()
    found = {item["group"]: (item["label_source"], len(np.unique(label_of(item))) - 1) for item in items}
    assert found == {
        "TCGA-CH-5767": ("outlines", 294),  # regions in the XML
        "TCGA-G9-6362": ("outlines", 472),
        "TCGA-HE-7128": (label_source, nuclei),
    }
