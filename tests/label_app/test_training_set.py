"""From labels to a data set for training."""

import numpy as np
import pytest
from dark_slides import segmenter
from PIL import Image

from monai_seunet.data.datalist import load_dataset
from monai_seunet.label_app.training.training_set import hold_back, make_training_set
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError
from monai_seunet.writers.raster import write_raster


def write(tmp_path, name, seed=0):
    """An image of 0.5 µm a pixel, red where it is labelled."""
    pixels = np.full((60, 80, 3), 200, np.uint8)
    mask = np.zeros((60, 80), np.uint8)
    mask[10 + seed : 30, 20:50] = 1
    pixels[mask > 0] = (250, 0, 0)
    image = tmp_path / f"{name}.png"
    Image.fromarray(pixels).save(image, dpi=(25400 / 0.5, 25400 / 0.5))
    return {"image": str(image), "label": str(write_raster(tmp_path / f"{name}_label.png", mask))}


@pytest.mark.parametrize(("mpp", "size"), [(0.5, (60, 80)), (0.25, (120, 160)), (1.0, (30, 40)), (None, (60, 80))])
def test_images_and_labels_come_to_the_resolution_of_the_network(tmp_path, mpp, size):
    items = [write(tmp_path, f"{number}", number) for number in range(4)]
    outcome = make_training_set(items, segmenter(network_mpp=mpp), tmp_path / "set")
    assert not outcome.problems and sum(outcome.counts.values()) == 4 and len(outcome.counts) == 2
    dataset = load_dataset(tmp_path / "set")
    assert dataset.label_kind == "classes" and dataset.classes == ("background", "nucleus")
    for item in [*dataset.training, *dataset.validation]:
        image, label = read_raster(item["image"]).pixels, read_raster(item["label"]).pixels
        assert image.shape[:2] == label.shape == size
        red = image[:, :, 0].astype(int) - image[:, :, 1] > 125  # half way, where pixels are mixed
        assert (red == (label > 0)).mean() > 0.98


def test_patients_are_held_back_as_a_whole_and_always_the_same():
    names = [f"TCGA-{number:02d}" for number in range(40)]
    sections, _ = hold_back(names * 2)
    held = {name for name, section in sections.items() if section == "validation"}
    assert 4 <= len(held) <= 16
    for count in range(2, 40):
        fewer = {name for name, section in hold_back(names[:count])[0].items() if section == "validation"}
        assert 1 <= len(fewer) < count
        assert fewer == held & set(names[:count]) or len(fewer) == 1
    with pytest.raises(InputError, match="needs two"):
        hold_back(["a", "a"])


def test_patches_of_one_image_stay_together(tmp_path):
    items = [write(tmp_path, f"slide-patch-{number}_0_80_60") for number in range(3)]
    with pytest.raises(InputError, match="images of one patient"):
        make_training_set(items, segmenter(network_mpp=0.5), tmp_path / "set")


def test_a_label_that_cannot_be_read_is_left_out(tmp_path):
    items = [write(tmp_path, f"{number}") for number in range(3)]
    write_raster(tmp_path / "0_label.png", np.zeros((5, 5), np.uint8))
    outcome = make_training_set(items, segmenter(network_mpp=0.5), tmp_path / "set")
    assert sum(outcome.counts.values()) == 2 and "5 x 5 pixels" in outcome.problems[0]
