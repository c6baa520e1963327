"""The worked example of CONTRIBUTING.md does what it says."""

from __future__ import annotations

import importlib
import json
import re
import sys

import pytest
import torch
from monai.bundle import ConfigWorkflow
from repository import CONFIGS, ROOT

from monai_seunet.data.sets.synthetic import prepare_synthetic
from monai_seunet.data.split import split_by_group


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The two files of the example, and a data set."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (tmp_path / "mirror_unet.py").write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
    (tmp_path / "mirror_unet.json").write_text(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    prepare_synthetic(
        tmp_path / "data", lambda groups: (split_by_group(groups, validation=0.34), {}), images=3, pixels=64
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the bundle replaces it
    monkeypatch.chdir(ROOT)
    return tmp_path


def test_a_convolution_becomes_a_network_by_one_file_and_one_overlay(example):
    options = {
        "dataset_dir": str(example / "data"),
        "ckpt_dir": str(example / "models"),
        "output_dir": str(example),
        "device": "$torch.device('cpu')",
        "stain": False,
        "width": 4,
        "tile_size": 64,
        "tile_stride": 64,
        "crop_size": 64,
        "batch_size": 2,
        "epochs": 1,
        "threads": torch.get_num_threads(),
    }
    files = [str(CONFIGS / "train.json"), str(example / "mirror_unet.json")]
    workflow = ConfigWorkflow(files, workflow_type="train", logging_file=False, **options)
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    net = importlib.import_module("mirror_unet").MirrorUNet(width=4)
    net.load_state_dict(torch.load(example / "models" / "model.pt", weights_only=True))
    net, x = net.eval().double(), torch.rand(1, 3, 40, 48, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(x.flip(-1)), net(x).flip(-1), atol=1e-10, rtol=0)
        assert (net(x.rot90(1, (-2, -1))) - net(x).rot90(1, (-2, -1))).abs().max() > 1e-4  # promised is no turn
    assert json.loads((example / "mirror_unet.json").read_text())["network_def"]["_target_"] == "mirror_unet.MirrorUNet"
