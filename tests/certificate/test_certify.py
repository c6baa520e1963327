"""The command: from weights and images to the certificate, its page and MLflow."""

import json
import shutil

import mlflow
import numpy as np
import pytest
import torch
from PIL import Image
from repository import CONFIGS

from monai_seunet.certificate.page import sentences
from monai_seunet.certificate.subject import Subject, fit_untrained_norms, read_control
from monai_seunet.cli import main
from monai_seunet.networks import PlainUNet, RotoScaleUNet
from monai_seunet.networks.checkpoints import save_checkpoint
from monai_seunet.tracking.client import experiment_id

NETWORK = {"in_channels": 3, "out_channels": 2, "num_levels": 2, "scales_per_octave": 2, "width": 16, "group": "p4"}
CONTROL = {"in_channels": 3, "out_channels": 2, "num_levels": 2, "width": 4}


@pytest.fixture(scope="module")
def files(empty_store, tmp_path_factory):
    """A bundle with two small networks, their weights, two images and a tracking store with the training's run."""
    folder = tmp_path_factory.mktemp("certify")
    shutil.copytree(CONFIGS, folder / "bundle" / "configs")
    overlays = folder / "bundle" / "configs" / "networks"
    for name, kind, options in (("both", RotoScaleUNet, NETWORK), ("plain", PlainUNet, CONTROL)):
        (overlays / f"{name}.json").write_text(json.dumps({"network_def": {"_target_": kind.__name__, **options}}))
        torch.manual_seed(0)
        save_checkpoint(kind(**options).state_dict(), folder / name / "model.pt")
    (folder / "images").mkdir()
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (48, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
    client = mlflow.MlflowClient(f"sqlite:///{shutil.copy(empty_store, folder)}")
    run = client.create_run(experiment_id(client)).info.run_id
    save_checkpoint({"trainer": {"run_id": run}}, folder / "both" / "last.pt")
    return folder, run


@pytest.fixture
def command(files, tmp_path):
    """The options of a certificate."""
    folder, _ = files
    words = ["certify", "--bundle", folder / "bundle", "--network", "both", "--data", folder / "images", "--crop", "32"]
    words += ["--checkpoint", folder / "both" / "model.pt", "--control-network", "plain", "--set", "stain=false"]
    return [*map(str, words), "--output", str(tmp_path / "out"), "--tracking-uri", f"sqlite:///{folder}/mlruns.db"]


def test_the_certificate_says_what_holds_and_what_does_not(files, command, tmp_path, capsys):
    folder, run = files
    assert main([*command, "--control-checkpoint", str(folder / "plain" / "model.pt")]) == 0
    assert "Quarter turns (which this network promises, and no mirrors)" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["certificate.json", "certificate.png"]
    assert min(Image.open(tmp_path / "out" / "certificate.png").size) > 1000
    found = json.loads((tmp_path / "out" / "certificate.json").read_text())
    rotation, zoom, shift = found["rotation"], found["zoom"], found["shift"]
    assert found["format"] == "monai_seunet certificate 1" and rotation["group"] == "p4"
    assert rotation["max_relative_error_float64"] < 1e-10 < 1e-3 < rotation["control_max_relative_error"]
    assert max(rotation["network"]["multiple"]["float64"][:3]) == rotation["max_relative_error_float64"]
    assert rotation["sides"] == {"multiple": 32, "odd": 31} and min(rotation["network"]["odd"]["float64"]) > 1e-6
    assert np.shape(zoom["network"]["matrices"]) == (9, 2, 2) and np.shape(zoom["control"]["matrices"]) == (9, 1, 1)
    assert zoom["e_err"] == zoom["network"]["mean"] > 0 and zoom["control_e_err"] > 0
    assert [errors["shift"] for errors in shift["network"]] == [1, 2, 4]
    assert shift["control_difference_by_stride"] < shift["control_difference_by_one_pixel"]
    assert found["data"]["images"] == ["a.png", "b.png"] and found["control"]["weights"] == "trained"
    assert 0 <= found["prediction"]["foreground_share"] <= 1
    assert len(found["network"]["sha256"]) == 64 and found["versions"]["torch"] == torch.__version__
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlruns.db")
    metrics = client.get_run(run).data.metrics
    assert metrics["certificate/zoom.e_err"] == pytest.approx(zoom["e_err"])
    assert metrics["certificate/rotation.max_relative_error_float64"] < 1e-10
    assert "finds nothing" not in " ".join(sentences(found))
    found["prediction"]["foreground_share"] = 0.0
    assert sentences(found)[-1].endswith("finds nothing on these images: a constant answer keeps every symmetry")
    logged = [file.path for file in client.list_artifacts(run, "certificate")]
    assert logged == ["certificate/certificate.json", "certificate/certificate.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--crop", "33"], "crop is 33; give a multiple of the networks' stride 2, 8 or more"),
        (["--crop", "64"], "a.png: 48 x 40 pixels, but both sides need 68; give a smaller --crop"),
        (["--images", "0"], "images is 0; give at least 1"),
        (["--data", "/nowhere"], "/nowhere: no such file or folder"),
        (["--checkpoint", "gone.pt"], "gone.pt: no such checkpoint"),
        (["--control-checkpoint", "gone.pt"], "gone.pt: no such checkpoint"),
        (["--control-network", "unet"], "unet.json: no such overlay"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(command, changes, message, tmp_path, refused):
    refused(main([*command, *changes]), message)
    assert not list(tmp_path.glob("out/*"))


def test_a_control_without_weights_is_random_and_has_the_norms_of_the_images(files):
    folder, _ = files
    subject = Subject("plain", PlainUNet(**{**CONTROL, "in_channels": 1}).eval(), "p_ens")
    control = read_control(folder / "bundle", "plain_unet", 4, subject, 3, None)
    assert control.weights == "random, with norm statistics of these images" and control.to_dict()["sha256"] is None
    images = torch.rand(2, 1, 32, 32)
    first = control.network.encoder[0][0]
    fit_untrained_norms(control, images)
    seen = torch.nn.functional.conv2d(images, first.conv.weight, padding=1)
    torch.testing.assert_close(first.norm.running_mean, seen.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    assert control.network(images).shape == (2, 3, 32, 32)
