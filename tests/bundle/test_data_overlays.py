"""Overlays that choose the data: channels and standardisation, and images that do not fit the network."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import change_set
from monai.bundle import ConfigParser, ConfigWorkflow
from PIL import Image
from repository import CONFIGS
from workflows import config_of, refusal, run

from monai_seunet.data.sets.threeclass import prepare_threeclass
from monai_seunet.networks.checkpoints import load_checkpoint

OVERLAYS = sorted(path.stem for path in (CONFIGS / "data").glob("*.json"))


@pytest.fixture(scope="session")
def grey(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic images as grey ones of 16 bits with masks of three values, prepared."""
    folder = tmp_path_factory.mktemp("grey")
    content = json.loads((synthetic / "dataset.json").read_text())
    for section, name in (("training", "train"), ("validation", "val")):
        for item in content[section]:
            image = np.asarray(Image.open(synthetic / item["image"]).convert("L")).astype(np.uint16) * 99
            mask = 2 * (np.asarray(Image.open(synthetic / item["label"])) > 0).astype(np.uint8)
            for kind, pixels in (("images", image), ("masks", mask)):
                path = folder / "src" / name / kind / Path(item["image"]).name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    prepare_threeclass(folder / "src", folder / "set", lambda groups: ({}, {}))
    return folder / "set"


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_sets_what_there_is_and_fits_together(name: str) -> None:
    overlay = json.loads((CONFIGS / f"data/{name}.json").read_text())
    assert overlay.keys() <= json.loads((CONFIGS / "train.json").read_text()).keys()
    for network in ("seunet_octaves", "seunet_geometric"):
        parser = config_of("train", f"networks/{network}", f"data/{name}")
        crop, tile, stride = (parser.get_parsed_content(key) for key in ("crop_size", "tile_size", "tile_stride"))
        made = parser.get_parsed_content("network_def")
        assert crop % made.stride == 0 and made.least_side() <= crop <= tile and stride <= tile
        assert overlay.get("in_channels", 3) == 3 or not parser.get_parsed_content("stain")


def trained(made: ConfigWorkflow) -> ConfigParser:
    """The parser of a training that ran to its end, with weights that are numbers."""
    parser = run(made)
    state = load_checkpoint(Path(parser.get_parsed_content("ckpt_dir"), "last.pt"))
    assert all(torch.isfinite(value).all() for value in state["network"].values())
    return parser


def assert_standardised_channel(parser: ConfigParser) -> None:
    for item in parser.get_parsed_content("validate#dataset"):
        image = item["image"].as_tensor()
        assert image.shape == (1, 128, 128)
        assert abs(float(image.mean())) < 1e-4 and float(image.std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_a_training_on_haematoxylin(workflow: Callable[..., ConfigWorkflow]) -> None:
    parser = trained(workflow(haematoxylin=True, intensity_jitter=1, epochs=1))
    assert_standardised_channel(parser)
    changed = [item["image"].std() for item in parser.get_parsed_content("train#dataset")]
    assert max(changed) - min(changed) > 0.1


@pytest.mark.parametrize("network", ["seunet_geometric", "plain_unet"])
def test_a_training_on_grey_images_of_16_bits(
    workflow: Callable[..., ConfigWorkflow], grey: Path, network: str
) -> None:
    made = workflow(f"networks/{network}", "data/threeclass", dataset_dir=str(grey), epochs=1)
    assert_standardised_channel(trained(made))


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ("grey", {"standardise": True}, r"\.png: image of 1 channels.*3 channels and two axes.*export it as RGB"),
        ("synthetic", {"in_channels": 1}, r"\.png: image of 3 channels.*1 channels and two axes.*export it as grey"),
        ("grey", {"in_channels": 1, "standardise": True, "stain": True}, r"\.png: .*no stain colours.*stain false"),
    ],
)
def test_images_that_do_not_fit_the_network_are_named(
    workflow: Callable[..., ConfigWorkflow], request: pytest.FixtureRequest, data: str, changes: dict, message: str
) -> None:
    made = workflow(dataset_dir=str(request.getfixturevalue(data)), **changes)
    assert re.search(message, refusal(run, made))


def test_data_sets_with_other_remarks_are_trained_on_together(
    workflow: Callable[..., ConfigWorkflow], synthetic: Path, tmp_path: Path
) -> None:
    """One set says of which kind an image is, the other where its label comes from: no batch holds these words."""
    folders = []
    for name, remark in (("one", {"kind": "histology"}), ("other", {"label_source": "instances"})):
        folders.append(str(shutil.copytree(synthetic, tmp_path / name)))
        items = change_set(tmp_path / name, name=name)["training"]
        change_set(tmp_path / name, training=[item | remark for item in items])
    parser = trained(workflow(dataset_dir=folders, epochs=1))
    assert len(parser.get_parsed_content("dataset").items("training")) == 2 * len(items)


@pytest.mark.parametrize("job", ["train", "evaluate", "evaluate_rotation"])
@pytest.mark.parametrize(("kind", "conversions"), [("classes", 0), ("instances", 1)])
def test_labels_of_classes_are_not_converted(job: str, kind: str, conversions: int) -> None:
    dataset = f"$__import__('types').SimpleNamespace(label_kind='{kind}', ignored_label=None)"
    changes = {"bundle_root": str(CONFIGS.parent), "dataset": dataset, "dataset_dir": ""}
    changes |= dict.fromkeys(("directions", "train_directions", "objects"), False)
    config = config_of(*dict.fromkeys(("train", job)), **changes)
    transforms = config.get_parsed_content("train#preprocessing").flatten().transforms
    names = [type(transform).__name__ for transform in transforms]
    assert all(map(callable, transforms)) and names.count("InstancesToClassesd") == conversions
