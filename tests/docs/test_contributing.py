"""The worked examples of CONTRIBUTING.md do what they say."""

import importlib
import json
import re

import pytest
import torch
from data_sets import synthetic_set
from monai.bundle import ConfigWorkflow
from repository import CONFIGS, ROOT
from workflows import run

from monai_seunet.networks.unet.ordinary import OrdinaryNetwork


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The files of the examples, and a data set."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for language, suffix in (("python", "py"), ("json", "json")):
        found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
        for name, content in zip(("mirror_unet", "focal"), found, strict=True):
            (tmp_path / f"{name}.{suffix}").write_text(content)
    synthetic_set(tmp_path / "data", images=3, pixels=64)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(ROOT)
    return tmp_path


def test_a_network_and_a_loss_need_one_file_and_one_overlay_each(example, small_training):
    options = {**small_training, "width": 4, "crop_size": 64, "epochs": 1, "device": "$torch.device('cpu')"}
    options |= {"dataset_dir": str(example / "data"), "ckpt_dir": str(example / "models"), "output_dir": str(example)}
    files = [str(CONFIGS / "train.json"), str(example / "mirror_unet.json"), str(example / "focal.json")]
    options["threads"] = torch.get_num_threads()
    parser = run(ConfigWorkflow(files, workflow_type="train", logging_file=False, **options))
    assert isinstance(parser.get_parsed_content("loss"), importlib.import_module("focal").GroupFocalLoss)
    net = importlib.import_module("mirror_unet").MirrorUNet(width=4)
    net.load_state_dict(torch.load(example / "models" / "model.pt", weights_only=True))
    net, x = net.eval().double(), torch.rand(1, 3, 40, 48, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(x.flip(-1)), net(x).flip(-1), atol=1e-10, rtol=0)
        assert (net(x.rot90(1, (-2, -1))) - net(x).rot90(1, (-2, -1))).abs().max() > 1e-4  # promised is no turn
        for norm in (module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.running_mean.uniform_(-0.1, 0.1)  # a norm that one epoch has hardly changed proves nothing
        for form in (net.folded(), OrdinaryNetwork(net)):
            torch.testing.assert_close(form(x), net(x), atol=1e-10, rtol=0)
    assert json.loads((example / "mirror_unet.json").read_text())["network_def"]["_target_"] == "mirror_unet.MirrorUNet"
