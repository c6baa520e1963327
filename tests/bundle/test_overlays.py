"""Every overlay that chooses a network: it builds, trains, resumes, evaluates and segments."""

import json

import pytest
import torch
from ignite.engine import Events
from monai.transforms import Compose
from repository import CONFIGS
from workflows import config_of, infer, run

from monai_seunet.networks import nets
from monai_seunet.networks.checkpoints import load_checkpoint
from monai_seunet.reading.raster import read_raster

NETWORKS = {  # overlay: network, scale groups, and the name that tells its results apart
    "baseline_unet": (nets.BaselineUNet, 1, "BaselineUNet"),
    "baseline_unet_raw": (nets.BaselineUNet, 1, "BaselineUNet-raw"),
    "disco_unet": (nets.DISCOUNet, 5, "DISCOUNet"),
    "equivariant_unet": (nets.EquivariantUNet, 1, "EquivariantUNet-p4"),
    "g_dense_net": (nets.GDenseNet, 1, "GDenseNet-p4m"),
    "g_dense_unet": (nets.GDenseUNet, 1, "GDenseUNet-p4m"),
    "g_unet": (nets.GUNet, 1, "GUNet-p4"),
    "njet": (nets.SEUNet, 1, "NJet"),
    "plain_unet": (nets.PlainUNet, 1, "PlainUNet"),
    "plain_unet_scale_augmented": (nets.PlainUNet, 1, "PlainUNet-scale-augmented"),
    "pyramid_unet": (nets.PyramidUNet, 4, "PyramidUNet"),
    "sesn_unet": (nets.SESNUNet, 5, "SESNUNet"),
    "roto_scale_unet": (nets.RotoScaleUNet, 5, "RotoScaleUNet-p4m"),
    "seunet": (nets.SEUNet, 5, "SEUNet"),
    "seunet_fixed": (nets.SEUNet, 5, "SEUNet-fixed"),
    "seunet_free": (nets.SEUNet, 5, "SEUNet-free"),
    "seunet_geometric": (nets.SEUNet, 5, "SEUNet-geometric"),
    "seunet_octaves": (nets.SEUNet, 6, "SEUNet-octaves"),
    "simplified_g_unet": (nets.SimplifiedGUNet, 1, "SimplifiedGUNet-p4"),
    "simplified_unet": (nets.SimplifiedUNet, 1, "SimplifiedUNet"),
}
TESTED_ELSEWHERE = {"plain_unet", "seunet", "seunet_geometric"}
# channels that scale groups and orientations divide
WIDTHS = {name: 8 if groups == 1 else 5 for name, (_, groups, _) in NETWORKS.items()}
WIDTHS |= {"roto_scale_unet": 40, "seunet_octaves": 12}
OCTAVES = {"pyramid_unet": 2, "seunet_octaves": 2}  # small images have no room for more


def crash():
    raise OSError("the machine goes down")


@pytest.mark.parametrize("job", ["train", "inference"])
@pytest.mark.parametrize("overlay", NETWORKS)
def test_an_overlay_builds_its_network_for_training_and_inference(overlay, job):
    parser = config_of(job, f"networks/{overlay}", width=WIDTHS[overlay], num_classes=3)
    parser["checkpoint" if job != "train" else "pretrained"] = "none.pt"  # the config asks weights what they give
    network, groups, _ = NETWORKS[overlay]
    made = parser.get_parsed_content("network_def")
    assert type(made) is network and parser.get_parsed_content("num_scales") == groups
    side = 256 if overlay in OCTAVES else 128
    assert parser.get_parsed_content("network").eval()(torch.rand(1, 3, side, side)).shape[-3:] == (3, side, side)


@pytest.mark.parametrize("job", ["train", "inference", "inference_wsi"])
def test_octaves_are_the_default(job):
    made = []
    for overlays in ([], ["networks/seunet_octaves"]):
        parser = config_of(job, *overlays)
        network = parser.get_parsed_content("network_def")
        options = ["width", "num_scales", "fusion"]
        if job == "train":
            options += ["method", "crop_size", "scale_augmentation", "trained_group_weights"]
        made.append([repr(network), network.octaves, *(parser.get_parsed_content(name) for name in options)])
    assert made[0] == made[1] and made[0][1] == [0, 1, 2]


def test_one_octave_of_the_default_is_the_network_of_five_groups():
    parser = config_of("train", num_octaves=1)
    assert parser.get_parsed_content("method") == "SEUNet-geometric"
    assert parser.get_parsed_content("network_def").num_scales == 5
    assert parser.get_parsed_content("trained_group_weights") is True
    assert parser.get_parsed_content("scale_augmentation") is None


def test_overlays_set_how_sigma_moves():
    made = {}
    for name in ("njet", "seunet_fixed", "seunet_free"):
        made[name] = config_of("train", f"networks/{name}", width=5).get_parsed_content("network_def")
    assert all(sigma.tolist() == [1.0] for sigma in made["njet"].sigmas().values())
    modes = {name: {layer.sigma.mode for layer in net.scale_layers().values()} for name, net in made.items()}
    assert modes == {"njet": {"free"}, "seunet_fixed": {"fixed"}, "seunet_free": {"free"}}
    starts = [made[name].sigmas()["encoder1.0"] for name in ("seunet_fixed", "seunet_free")]
    torch.testing.assert_close(*starts)


def test_no_two_overlays_share_the_name_that_tells_their_results_apart():
    for overlay, (_, _, method) in NETWORKS.items():
        parser = config_of("train", f"networks/{overlay}", width=WIDTHS[overlay])
        assert parser.get_parsed_content("method") == parser.get_parsed_content("tags#network") == method
    assert len({method for _, _, method in NETWORKS.values()}) == len(NETWORKS)


@pytest.mark.parametrize("overlay", sorted(set(NETWORKS) - TESTED_ELSEWHERE))
def test_a_network_is_trained_resumed_evaluated_and_used(workflow, synthetic, tmp_path, overlay):
    name, network = f"networks/{overlay}", {"width": WIDTHS[overlay]}
    if overlay in OCTAVES:
        network["num_octaves"] = OCTAVES[overlay]
    job = ["classify"] if overlay == "g_dense_net" else []
    crop = {"crop_size": 64} if overlay in OCTAVES else {}
    stopped = workflow(name, *job, epochs=2, **network, **crop)
    stopped.initialize()
    trainer = stopped.parser.get_parsed_content("train#trainer")
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=5), crash)
    with pytest.raises(RuntimeError):
        stopped.run()
    assert load_checkpoint(tmp_path / "models" / "last.pt")["trainer"]["epoch"] == 1
    run(workflow(name, *job, epochs=2, resume=True, **network, **crop))
    assert load_checkpoint(tmp_path / "models" / "last.pt")["trainer"]["epoch"] == 2
    if not job:  # a classifier has nothing to segment
        scales = {"minimum_scale": 0.5, "maximum_scale": 1, "steps_per_octave": 1, "equivariance": False}
        run(workflow(name, "evaluate", max_images=1, field=128 if overlay in OCTAVES else 32, **network, **scales))
        (report,) = (tmp_path / "eval").glob("*/validation/report.json")
        assert json.loads(report.read_text())["method"] == NETWORKS[overlay][2]
    options = {"checkpoint": tmp_path / "models" / "model.pt", "stain": False, **network}
    infer("inference", name, image=next(synthetic.glob("images/*.png")), output_dir=tmp_path / "out", **options)
    (label,) = (tmp_path / "out").glob("*_label.png")
    assert read_raster(label).pixels.shape == (128, 128)


def test_scale_augmentation_fills_the_crop_at_every_factor(workflow):
    made = workflow("networks/plain_unet_scale_augmented", crop_size=64, rotations=False)
    made.initialize()
    transforms = made.parser.get_parsed_content("train#augmentation")
    augment = Compose(transforms).set_random_state(0)
    image = torch.rand(3, 64, 64).round()
    factors, fine = [], 0
    for _ in range(20):
        result = augment({"image": image, "label": image[:1]})
        assert result["image"].shape == (3, 64, 64) and result["label"].shape == (1, 64, 64)
        assert set(result["label"].unique().tolist()) <= {0.0, 1.0}
        factors.append(transforms[0].factor)
        fine += (result["image"][:1] - result["label"]).abs().mean() < 0.5
    assert min(factors) < 0.5 and max(factors) > 2 and fine == 20


def test_without_it_tiles_keep_their_scale(workflow):
    made = workflow("networks/plain_unet")
    made.initialize()
    crop, *others = made.parser.get_parsed_content("train#augmentation")
    image = torch.rand(3, 64, 64)
    factors = set()
    for _ in range(20):
        assert crop({"image": image})["image"].shape == (3, crop.crop_size, crop.crop_size)
        factors.add(crop.factor)
    assert factors == {1.0} and "SpatialPadd" not in [type(transform).__name__ for transform in others]


def test_jobs_repeat_what_they_share():
    """MONAI's tools run each of these files alone, so none can be a part of another."""
    jobs = ("train", "inference", "inference_wsi")
    train, images, slides = (json.loads((CONFIGS / f"{job}.json").read_text()) for job in jobs)
    shared = "in_channels num_classes num_octaves scales_per_octave num_scales width haematoxylin stain stain_target"
    for name in [*shared.split(), "standardise", "fusion"]:
        assert train[name] == images[name] == slides[name], name
    assert train["network_def"] == slides["network_def"]
    assert {**train["network_def"], "fusion": "@fusion"} == images["network_def"]
    for name in ("normalize_stain", "normalize_intensity"):
        assert train[name] == images[name], name
