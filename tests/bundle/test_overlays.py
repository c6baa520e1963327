"""Every overlay that chooses a network: it builds, trains, resumes, evaluates and segments."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import CONFIGS
from ignite.engine import Events
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.transforms import Compose

from monai_seunet.checkpoints import load_checkpoint
from monai_seunet.data.reader import read_raster
from monai_seunet.networks import DISCOUNet, PlainUNet, SESNUNet, SEUNet

NETWORKS = {
    "disco_unet": (DISCOUNet, 5),
    "njet": (SEUNet, 1),
    "plain_unet": (PlainUNet, 1),
    "plain_unet_scale_augmented": (PlainUNet, 1),
    "sesn_unet": (SESNUNet, 5),
    "seunet": (SEUNet, 5),
    "seunet_fixed": (SEUNet, 5),
    "seunet_free": (SEUNet, 5),
    "seunet_geometric": (SEUNet, 5),
}
NEW = ["disco_unet", "njet", "plain_unet_scale_augmented", "sesn_unet"]


def run(made):
    made.initialize()
    made.run()
    made.finalize()
    return made.parser


def crash():
    raise OSError("the machine goes down")


@pytest.mark.parametrize("job", ["train", "inference"])
@pytest.mark.parametrize("overlay", NETWORKS)
def test_an_overlay_builds_its_network_for_training_and_inference(overlay, job):
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / f"{name}.json") for name in (job, f"networks/{overlay}")])
    parser["width"], parser["num_classes"] = 10, 3
    network, groups = NETWORKS[overlay]
    made = parser.get_parsed_content("network_def")
    assert type(made) is network and parser.get_parsed_content("num_scales") == groups
    assert made.eval()(torch.rand(1, 3, 16, 16)).shape[-3:] == (3, 16, 16)


def test_overlays_set_how_sigma_moves():
    made = {}
    for name in ("njet", "seunet_fixed", "seunet_free"):
        parser = ConfigParser()
        parser.read_config([str(CONFIGS / f"{part}.json") for part in ("train", f"networks/{name}")])
        parser["width"] = 5
        made[name] = parser.get_parsed_content("network_def")
    assert all(sigma.tolist() == [1.0] for sigma in made["njet"].sigmas().values())
    modes = {name: {layer.sigma.mode for layer in net.scale_layers().values()} for name, net in made.items()}
    assert modes == {"njet": {"free"}, "seunet_fixed": {"fixed"}, "seunet_free": {"free"}}
    starts = [made[name].sigmas()["encoder1.0"] for name in ("seunet_fixed", "seunet_free")]
    torch.testing.assert_close(*starts)


@pytest.mark.parametrize("overlay", NEW)
def test_a_network_is_trained_resumed_evaluated_and_used(workflow, synthetic, tmp_path, overlay):
    name = f"networks/{overlay}"
    stopped = workflow(name, epochs=2)
    stopped.initialize()
    trainer = stopped.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=5), crash)
    with pytest.raises(RuntimeError):
        stopped.run()
    assert load_checkpoint(tmp_path / "models" / "last.pt")["trainer"]["epoch"] == 1
    run(workflow(name, epochs=2, resume=True))
    assert load_checkpoint(tmp_path / "models" / "last.pt")["trainer"]["epoch"] == 2
    run(workflow(name, "evaluate", minimum_scale=0.5, maximum_scale=1, steps_per_octave=1, max_images=1, field=32))
    (report,) = (tmp_path / "eval").glob("*/validation/report.json")
    assert json.loads(report.read_text())["method"] == NETWORKS[overlay][0].__name__
    options = {
        "image": str(next(synthetic.glob("images/*.png"))),
        "output_dir": str(tmp_path / "out"),
        "checkpoint": str(tmp_path / "models" / "model.pt"),
        "device": "$torch.device('cpu')",
        "width": 5,
        "stain": False,
    }
    files = [str(CONFIGS / f"{part}.json") for part in ("inference", name)]
    run(ConfigWorkflow(config_file=files, workflow_type="infer", logging_file=False, **options))
    (label,) = (tmp_path / "out").glob("*_label.png")
    assert read_raster(label).pixels.shape == (128, 128)


def test_scale_augmentation_fills_the_crop_at_every_factor(workflow):
    made = workflow("networks/plain_unet_scale_augmented", crop_size=96, rotations=False)
    made.initialize()
    transforms = made.parser.get_parsed_content("train#augmentation")
    augment = Compose(transforms).set_random_state(0)
    image = torch.rand(3, 64, 64).round()
    factors, fine = [], 0
    for _ in range(20):
        result = augment({"image": image, "label": image[:1]})
        assert result["image"].shape == (3, 96, 96) and result["label"].shape == (1, 96, 96)
        assert set(result["label"].unique().tolist()) <= {0.0, 1.0}
        factors.append(transforms[0].rescale.factor)
        fine += (result["image"][:1] - result["label"]).abs().mean() < 0.5
    assert min(factors) < 0.5 and max(factors) > 2 and fine == 20


def test_without_it_tiles_keep_their_scale(workflow):
    made = workflow("networks/plain_unet")
    made.initialize()
    names = [type(transform).__name__ for transform in made.parser.get_parsed_content("train#augmentation")]
    assert names[0] == "RandSpatialCropd"
