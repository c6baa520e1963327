"""Every command sees the same pixels, size and µm in a file."""

import warnings

import numpy as np
import pytest
from monai.bundle import ConfigParser
from people_files import FILES
from repository import CONFIGS

from monai_seunet.cli import main
from monai_seunet.data.datalist import load_dataset
from monai_seunet.label_app.labels.submitted import read_submitted
from monai_seunet.label_app.training.training_set import make_training_set
from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.raster import read_image, read_raster
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.magnification.resolution import resolve
from monai_seunet.slides.model import SlideModel
from monai_seunet.slides.options import SlideOptions
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.writers.raster import write_raster


class Blind:
    """A network that is only asked for its channels."""

    in_channels, stride, num_scales = 3, 16, 1


@pytest.fixture(scope="module")
def load_image():
    """The first transform of `inference.json`."""
    config = ConfigParser()
    config.read_config(CONFIGS / "inference.json")
    config["preprocessing"]["transforms"] = config["preprocessing"]["transforms"][:1]
    return config.get_parsed_content("preprocessing")


@pytest.mark.parametrize("name", FILES)
def test_every_command_sees_the_same(tmp_path, load_image, name):
    file = tmp_path / "images" / name
    file.parent.mkdir()
    FILES[name].write(file)
    height, width = FILES[name].shown.shape[:2]
    with open_slide(file) as slide:  # segment
        view = SlideView(slide, resolve(slide).scale_to(None))
        seen, mpp = view.read(0, 0, view.height, view.width), resolve(slide).mpp
    assert seen.shape == (height, width, 3)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        image = load_image({"image": file})["image"]  # inference.json
    assert np.array_equal(image.numpy(), np.moveaxis(seen, 2, 0))
    assert image.meta.get("mpp") == (None if mpp is None else pytest.approx(mpp))

    mask = np.zeros((height, width), np.uint8)
    mask[10:20, 10:30] = 1
    write_raster(tmp_path / "masks" / f"{file.name.removesuffix(file.suffix)}.png", mask)
    assert main(["prepare", "folder", str(tmp_path), str(tmp_path / "set"), "--validation", "1"]) in (0, 1)
    [item] = load_dataset(tmp_path / "set").validation
    prepared = read_image(item["image"])
    assert np.array_equal(prepared.pixels, seen)
    assert prepared.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-5))

    labels = tmp_path / "masks"  # the label server
    label = next(labels.iterdir())
    assert np.array_equal(read_submitted(label, file, ["nucleus"]).classes, mask)
    other = write_raster(tmp_path / "other" / "blank.png", np.zeros((8, 8, 3), np.uint8))
    blank = write_raster(tmp_path / "other" / "blank_label.png", np.zeros((8, 8), np.uint8))
    items = [{"image": str(file), "label": str(label)}, {"image": str(other), "label": str(blank)}]
    segmenter = SlideSegmenter(SlideModel(Blind(), Preprocessing(None, False)), SlideOptions(network_mpp=None))
    make_training_set(items, segmenter, tmp_path / "labelled")
    [written] = [path for path in (tmp_path / "labelled" / "images").iterdir() if path.stem != "blank"]
    assert np.array_equal(read_raster(written).pixels, seen)
