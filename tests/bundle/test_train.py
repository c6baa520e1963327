"""Training through the bundle, as `python -m monai.bundle run` does it."""

import json
import shutil
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from data_sets import change_set
from monai.transforms import Compose
from PIL import Image
from repository import CONFIGS
from workflows import config_of, refusal, run

from monai_seunet.fusion import fuse
from monai_seunet.networks import PlainUNet, SEUNet
from monai_seunet.networks.checkpoints import load_checkpoint, load_weights


@pytest.fixture
def data(synthetic: Path, tmp_path: Path) -> Path:
    """A copy of the data set, to be changed."""
    return shutil.copytree(synthetic, tmp_path / "data")


def the_run(parser):
    client = mlflow.MlflowClient(parser.get_parsed_content("tracking_uri"))
    (found,) = client.search_runs([client.get_experiment_by_name("seunet").experiment_id])
    return client, found


@pytest.mark.parametrize("momentum", [0.01, 1])
def test_the_mean_of_the_weights_is_kept(workflow, tmp_path, momentum):
    run(workflow("networks/plain_unet", epochs=2, val_interval=2, average_momentum=momentum))
    state, kept = (load_checkpoint(tmp_path / "models" / name) for name in ("last.pt", "model.pt"))
    weights = [name for name in kept if name.endswith("conv.weight")]
    assert weights and all(torch.equal(kept[name], state["average"][f"module.{name}"]) for name in weights)
    assert all(torch.equal(kept[name], state["network"][name]) for name in weights) == (momentum == 1)


@pytest.mark.parametrize(
    ("overlay", "network", "groups", "method"),
    [
        ("seunet", SEUNet, 5, "SEUNet"),
        ("seunet_geometric", SEUNet, 5, "SEUNet-geometric"),
        ("plain_unet", PlainUNet, 1, "PlainUNet"),
    ],
)
def test_a_training_leaves_weights_state_and_run(workflow, tmp_path, caplog, overlay, network, groups, method):
    parser = run(workflow(f"networks/{overlay}", "data/folder"))
    assert ("crop_size 48 is small for this network" in caplog.text) == (network is SEUNet)
    trained = parser.get_parsed_content("network_def")
    assert type(trained) is network
    state = load_checkpoint(tmp_path / "models" / "last.pt")
    assert state["trainer"]["epoch"] == 3 and state["trainer"]["iteration"] == 12
    assert state["evaluator"]["best_metric_epoch"] in (2, 3)
    assert state["loss"]["scores"].shape == (groups,)
    assert {id(p) for p in parser.get_parsed_content("loss_def").parameters()} <= {
        id(p) for group in parser.get_parsed_content("optimizer").param_groups for p in group["params"]
    }
    best = load_weights(parser.get_parsed_content("network_def"), tmp_path / "models" / "model.pt")
    assert all(torch.isfinite(value).all() for value in best.state_dict().values())
    client, tracked = the_run(parser)
    assert tracked.info.status == "FINISHED" and tracked.data.tags["network"] == method
    assert tracked.info.run_id == state["trainer"]["run_id"]
    inputs = {entry.tags[0].value: entry.dataset for entry in tracked.inputs.dataset_inputs}
    assert set(inputs) == {"training", "validation"} and {data.name for data in inputs.values()} == {"synthetic"}
    assert len(client.get_metric_history(tracked.info.run_id, "loss")) == 12
    assert [point.step for point in client.get_metric_history(tracked.info.run_id, "val_iou")] == [2, 3]
    sigmas = [name for name in tracked.data.metrics if name.startswith("sigma/")]
    assert len(sigmas) == (90 if network is SEUNet else 0)


def test_muon_trains_with_a_context_and_is_resumed_only_with_muon(workflow, tmp_path):
    options = {"scale_augmentation": [0.25, 1], "tile_context": 500, "epochs": 3}
    parser = run(workflow("networks/seunet_geometric", muon=True, **options))
    tile = parser.get_parsed_content("train#dataset").data[0]["image"]
    assert min(tile.shape[1:]) > parser.get_parsed_content("tile_size")
    state = load_checkpoint(tmp_path / "models" / "last.pt")["optimizer"]
    stepped = [name for group in state["param_groups"] if group["gain"] for name in group["param_names"]]
    assert "encoder.0.1.conv.alpha" in stepped and not {"encoder.0.0.conv.alpha", "head.weight"} & {*stepped}
    assert sum("momentum" in values for values in state["state"].values()) == len(stepped)
    other = workflow("networks/seunet_geometric", muon=False, resume=True, **options)
    assert "was trained with muon True and cannot be resumed with False" in refusal(run, other)
    run(workflow("networks/seunet_geometric", muon=True, resume=True, **options))


@pytest.mark.slow
def test_a_training_learns(workflow):
    tiles = {"tile_size": 128, "tile_stride": 128, "crop_size": 96}  # on smaller ones the norms learn the padding
    parser = run(workflow(width=20, epochs=20, val_interval=20, max_lr=0.02, batch_size=2, **tiles))
    client, tracked = the_run(parser)
    losses = [point.value for point in client.get_metric_history(tracked.info.run_id, "train_loss")]
    assert losses[-1] < 0.6 * losses[0]
    assert tracked.data.metrics["val_iou"] > 0.8


def test_pixels_without_annotation_count_nowhere(workflow, data, tmp_path):
    content = change_set(data, ignored_label=9, label_kind="classes", classes=["background", "nucleus"])
    for item in content["training"] + content["validation"]:
        label = (np.array(Image.open(data / item["label"])) > 0).astype(np.uint8)
        label[:, 50:] = 9
        Image.fromarray(label).save(data / item["label"])
    parser = run(workflow(dataset_dir=str(data), epochs=1))
    net = load_weights(parser.get_parsed_content("network_def"), tmp_path / "models" / "model.pt").eval()
    matrix = torch.zeros(2, 2, dtype=torch.long)
    with torch.no_grad():
        for item in parser.get_parsed_content("validate#dataset"):
            classes = fuse(net(item["image"][None].as_tensor()).softmax(2)).argmax(1)[0]
            label = item["label"][0].long().as_tensor()
            known = label != 9
            matrix += torch.bincount(2 * label[known] + classes[known], minlength=4).view(2, 2)
    iou = matrix[1, 1] / (matrix.sum() - matrix[0, 0])
    best = load_checkpoint(tmp_path / "models" / "last.pt")["evaluator"]["best_metric"]
    assert best == pytest.approx(iou.item(), abs=1e-3)


@pytest.mark.parametrize("augmented", [True, False])
def test_turns_and_stain_jitter_can_be_left_out(workflow, augmented):
    changes = {} if augmented else {"rotations": False, "stain_jitter": 0}
    made = workflow(stain=True, crop_size=128, tile_size=128, **changes)
    made.initialize()
    augment = Compose(made.parser.get_parsed_content("train#augmentation")).set_random_state(0)
    y, x = torch.meshgrid(torch.linspace(0.2, 0.9, 128), torch.linspace(0.2, 0.9, 128), indexing="ij")
    image = torch.stack([y, x, y * x])
    flips = [torch.flip(image, axes) for axes in ((), (1,), (2,), (1, 2))]
    results = [augment({"image": image, "label": image[:1]})["image"] for _ in range(16)]
    flipped = [any(torch.equal(result, flip) for flip in flips) for result in results]
    assert all(flipped) is not augmented


def test_overlays_choose_sigma_ranges(workflow):
    ends = {}
    for name in ("seunet", "seunet_geometric"):
        made = workflow(f"networks/{name}")
        made.initialize()
        ends[name] = made.parser.get_parsed_content("network_def").sigma_bounds()["encoder1.0"][-1].tolist()
    assert ends["seunet"] == pytest.approx([2.5, 3.0])
    assert ends["seunet_geometric"] == pytest.approx([2.0, 2.0 * 2**0.5])


def test_required_properties_are_there(workflow):
    made = workflow()
    made.initialize()
    assert made.check_properties() == []


def refused(made, tmp_path, message):
    assert message in refusal(run, made)
    assert not (tmp_path / "models").exists()


def with_a_small_label(folder: Path) -> None:
    item = change_set(folder)["training"][0]
    label = Image.open(folder / item["label"])
    label.crop((0, 0, 100, 128)).save(folder / item["label"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "no such data set"),
        (partial(change_set, training=[]), "the section 'training' is empty"),
        (partial(change_set, validation=[]), "the section 'validation' is empty"),
        (with_a_small_label, "the label has 1 channel"),
    ],
)
def test_data_that_cannot_be_used_are_named(workflow, data, tmp_path, spoil, message):
    spoil(data)
    refused(workflow(dataset_dir=str(data)), tmp_path, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 11}, "width 11 does not divide into 5 scale groups"),
        ({"tile_size": 500}, "tile is 500 pixels on an axis of 128"),
        ({"crop_size": 65}, "crop_size 65 is more than tile_size 64"),
        ({"crop_size": 65, "scale_augmentation": [0.5, 2]}, "crop_size 65 is more than tile_size 64"),
        ({"max_minutes": -1}, "max_minutes is -1"),
        ({"resume": True}, "last.pt: no such checkpoint"),
        ({"tracking_uri": "mlruns"}, "tracking_uri 'mlruns'"),
    ],
)
def test_options_that_cannot_be_used_are_named(workflow, tmp_path, changes, message):
    refused(workflow(**changes), tmp_path, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "as a binary mask or classes have; number the nuclei"),
        ({"label_kind": "classes"}, "the label holds classes, but directions need one number for each nucleus"),
    ],
)
def test_directions_need_numbered_nuclei(workflow, data, tmp_path, changes, message):
    for path in (data / "labels").iterdir():
        Image.fromarray((np.array(Image.open(path)) > 0).astype(np.uint8)).save(path)
    change_set(data, **changes)
    refused(workflow(dataset_dir=str(data), directions=True), tmp_path, message)
    workflow(dataset_dir=str(data)).initialize()


@pytest.mark.parametrize("trained", [True, False])
def test_directions_are_learned_where_they_are_wanted(workflow, tmp_path, trained):
    options = {"directions": True, "train_directions": trained, "weight_decay": 0, "gamma_jitter": 1}
    made = workflow("networks/plain_unet", epochs=1, val_interval=1, **options)
    before = made.parser.get_parsed_content("network_def").head.weight.detach().clone()
    run(made)
    after = load_checkpoint(tmp_path / "models" / "last.pt")["network"]["head.weight"]
    assert before.shape[0] == after.shape[0] == 4
    assert not torch.equal(before[:2], after[:2]), "the classes"
    assert torch.equal(before[2:], after[2:]) is not trained
    assert "val_iou" in the_run(made.parser)[1].data.metrics, "validated by the classes alone"


def test_a_training_of_another_network_or_by_another_recipe_is_not_resumed(workflow, tmp_path):
    run(workflow(epochs=1))
    before = (tmp_path / "models" / "last.pt").read_bytes()
    messages = {
        "checkpoint of another network than this PlainUNet": (["networks/plain_unet"], {}),
        "was trained with crop_size ": ([], {"crop_size": 32}),
        "was trained with max_lr ": ([], {"max_lr": 0.5}),
        "was trained with dice_weight ": ([], {"dice_weight": 0}),
    }
    for message, (overlays, changes) in messages.items():
        assert message in refusal(run, workflow(*overlays, epochs=1, resume=True, **changes))
        assert (tmp_path / "models" / "last.pt").read_bytes() == before


def test_several_processes_begin_as_one_does():
    parser = config_of("train", "multi_gpu_train")
    alone = json.loads((CONFIGS / "train.json").read_text())["initialize"]
    assert parser["initialize"][: len(alone)] == alone and any("pretrained" in line for line in alone)
    assert any("init_process_group" in line for line in parser["initialize"][len(alone) :])
