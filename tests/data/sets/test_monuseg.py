from functools import partial

import numpy as np
import pytest
from layouts import aperio_xml, write_image

from monai_seunet.cli import main
from monai_seunet.data.datalist import load_dataset
from monai_seunet.reading.raster import read_raster

NAMES = [f"TCGA-AA-{number:04d}-01Z-00-DX1" for number in range(5)]
TOUCHING = ([(2, 2), (8, 2), (8, 8), (2, 8)], [(9, 2), (14, 2), (14, 8), (9, 8)])


@pytest.fixture
def source(tmp_path, noise_image):
    """Five images: three with XML, of which one has remarks, one with a mask only, one with nothing."""
    folder = tmp_path / "MoNuSeg"
    for number, name in enumerate(NAMES):
        write_image(folder / "Tissue Images" / f"{name}.tif", noise_image(20, 30, seed=number))
    (folder / "Annotations").mkdir()
    for name in NAMES[:2]:
        (folder / "Annotations" / f"{name}.xml").write_text(aperio_xml(*TOUCHING))
    odd = aperio_xml([(20, 10), (60, 10), (60, 15), (20, 15)], [(100, 100), (110, 100), (110, 110)], *TOUCHING)
    (folder / "Annotations" / f"{NAMES[2]}.xml").write_text(odd)
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 2:5] = mask[10:14, 20:25] = 1
    write_image(tmp_path / "masks" / f"{NAMES[3]}.png", mask)
    return folder


@pytest.fixture
def run(source, tmp_path):
    return partial(main_with, str(source), str(tmp_path / "set"))


def main_with(source, destination, *options):
    return main(["prepare", "monuseg", source, destination, *options])


def test_outlines_become_instances_and_remarks_are_listed(run, tmp_path, capsys):
    assert run("--masks", str(tmp_path / "masks")) == 1
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning:" in line]
    assert len(warnings) == 3
    assert f"{NAMES[2]}.xml: 1 outline(s) run over the edge" in warnings[0]
    assert f"{NAMES[2]}.xml: 1 outline(s) lie outside" in warnings[1]
    assert f"{NAMES[4]}.tif: no outlines" in warnings[2]
    dataset = load_dataset(tmp_path / "set")
    items = {item["group"]: item for item in dataset.training + dataset.validation}
    assert {group: item["label_source"] for group, item in items.items()} == {
        "TCGA-AA-0000": "outlines",
        "TCGA-AA-0001": "outlines",
        "TCGA-AA-0002": "outlines",
        "TCGA-AA-0003": "mask",
    }
    label = read_raster(items["TCGA-AA-0000"]["label"]).pixels
    assert label.dtype == np.uint16 and (label[5, 8], label[5, 9]) == (1, 2)
    assert len(np.unique(read_raster(items["TCGA-AA-0003"]["label"]).pixels)) == 3
    assert dataset.mpp == 0.25 and len(dataset.sources) == 8


def test_outlines_that_others_cover_are_listed(run, source, capsys):
    small = [(3, 3), (5, 3), (5, 5), (3, 5)]
    (source / "Annotations" / f"{NAMES[2]}.xml").write_text(aperio_xml(small, small, *TOUCHING))
    assert run() == 1
    warnings = [line for line in capsys.readouterr().err.splitlines() if f"{NAMES[2]}.xml" in line]
    assert len(warnings) == 1
    assert "1 outline(s) are covered by others; skipped (number 1 of its outlines)" in warnings[0]


def test_numbers_in_masks_are_kept_and_outlines_win_over_them(run, tmp_path):
    mask = np.zeros((20, 30), np.uint16)
    mask[2:5, 2:8], mask[5:9, 2:8], mask[9:11, 2:8] = 300, 40000, 300  # one lies on the other and cuts it in two
    for name in (NAMES[0], NAMES[3]):
        write_image(tmp_path / "masks" / f"{name}.png", mask)
    assert run("--masks", str(tmp_path / "masks")) == 1
    dataset = load_dataset(tmp_path / "set")
    items = {item["group"]: item for item in dataset.training + dataset.validation}
    assert items["TCGA-AA-0003"]["label_source"] == "instances"
    assert np.array_equal(read_raster(items["TCGA-AA-0003"]["label"]).pixels, mask)
    assert items["TCGA-AA-0000"]["label_source"] == "outlines"
    assert read_raster(items["TCGA-AA-0000"]["label"]).pixels.max() == 2


@pytest.mark.parametrize("value", [1, 7, 255])
def test_a_binary_mask_may_have_any_value(run, tmp_path, value):
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 2:5] = mask[5:9, 5:9] = value  # they meet at a corner
    write_image(tmp_path / "masks" / f"{NAMES[3]}.png", mask)
    assert run("--masks", str(tmp_path / "masks")) == 1
    dataset = load_dataset(tmp_path / "set")
    (item,) = [item for item in dataset.training + dataset.validation if item["group"] == "TCGA-AA-0003"]
    label = read_raster(item["label"]).pixels
    assert item["label_source"] == "mask" and (label[2, 2], label[8, 8]) == (1, 2)


def test_a_mask_in_colours_is_skipped(run, noise_image, tmp_path, capsys):
    write_image(tmp_path / "masks" / f"{NAMES[3]}.png", noise_image(20, 30))
    assert run("--masks", str(tmp_path / "masks")) == 1
    assert f"{NAMES[3]}.png: a mask in colours" in capsys.readouterr().err


def test_lonely_xml_and_mask_are_listed(run, source, tmp_path, capsys):
    (source / "Annotations/TCGA-ZZ.xml").write_text(aperio_xml(*TOUCHING))
    write_image(tmp_path / "masks/other.png", np.zeros((2, 2), np.uint8))
    assert run("--masks", str(tmp_path / "masks")) == 1
    errors = capsys.readouterr().err
    assert "TCGA-ZZ.xml: no image" in errors and "other.png: no image" in errors


def test_a_broken_image_is_skipped_and_the_rest_prepared(run, source, tmp_path, capsys):
    (source / "Tissue Images" / f"{NAMES[0]}.tif").write_bytes(b"II*\0rubbish")
    assert run() == 1
    assert f"{NAMES[0]}.tif: the TIFF file holds no image, or was cut off" in capsys.readouterr().err
    dataset = load_dataset(tmp_path / "set")
    assert len(dataset.training + dataset.validation) == 2


def test_a_mask_of_another_size_is_skipped(run, tmp_path, capsys):
    write_image(tmp_path / "masks" / f"{NAMES[3]}.png", np.zeros((30, 20), np.uint8))
    assert run("--masks", str(tmp_path / "masks")) == 1
    assert "the label has shape [30, 20], its image has [20, 30]" in capsys.readouterr().err


def test_all_fine_ends_with_zero(run, source):
    for name in NAMES[2:]:
        (source / "Tissue Images" / f"{name}.tif").unlink()
        (source / "Annotations" / f"{name}.xml").unlink(missing_ok=True)
    assert run("--validation", "0.5") == 0


@pytest.mark.parametrize("missing", ["Tissue Images", "Annotations"])
def test_another_layout_is_refused_in_one_line(run, source, tmp_path, refused, missing):
    (source / missing).rename(tmp_path / "moved")
    refused(run(), missing)
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
    code = main(
        ["prepare", "monuseg", str(tmp_path / "src"), str(tmp_path / "set"), "--masks", str(tmp_path / "masks")]
    )
    assert code == 0, capsys.readouterr().err
    dataset = load_dataset(tmp_path / "set")
    found = {
        item["group"]: (item["label_source"], len(np.unique(read_raster(item["label"]).pixels)) - 1)
        for item in dataset.training + dataset.validation
    }
    assert found == {
        "TCGA-CH-5767": ("outlines", 294),  # regions in the XML
        "TCGA-G9-6362": ("outlines", 472),
        "TCGA-HE-7128": (label_source, nuclei),
    }
