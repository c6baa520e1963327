"""The bundle as MONAI's own tools check and export it, and as other programs load it."""

import json
import subprocess

import numpy as np
import onnxruntime
import pytest
import torch
from monai import bundle
from monai.bundle import ConfigParser
from repository import CONFIGS, ROOT

from monai_seunet.networks import SEUNet
from monai_seunet.networks.checkpoints import load_weights, save_checkpoint

SIZE = 128
TEXT, NUMBERS = {"type": "string"}, {"type": "array", "items": {"type": "number"}}
# What the schema of 2024-07-25 asks of a metadata file, in short.
TENSOR = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
    "properties": {"num_channels": {"type": "integer"}, "value_range": NUMBERS, "dtype": TEXT, "format": TEXT},
}
TENSORS = {"type": "object", "additionalProperties": TENSOR, "minProperties": 1}
SCHEMA = {
    "type": "object",
    "properties": {
        **dict.fromkeys("schema version monai_version pytorch_version numpy_version".split(), TEXT),
        **dict.fromkeys("task description authors copyright data_source data_type intended_use".split(), TEXT),
        "changelog": {"type": "object"},
        "required_packages_version": {"type": "object"},
        "references": {"type": "array", "items": TEXT},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": TENSORS, "outputs": TENSORS},
        },
    },
    "required": "schema version monai_version pytorch_version numpy_version required_packages_version task description "
    "authors copyright network_data_format".split(),
}


SMALL = {"width": 4, "num_octaves": 2, "scales_per_octave": 1}  # has octaves, and is exported in seconds
FILES = {"meta_file": str(CONFIGS / "metadata.json"), "config_file": str(CONFIGS / "inference.json")}


@pytest.fixture
def trained(tmp_path):
    """A checkpoint whose sigmas have left the place where they start, and the network that it belongs to."""
    net = SEUNet(**SMALL, num_levels=2, fusion="p_conf")
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "sigma" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    save_checkpoint(net.state_dict(), tmp_path / "model.pt")
    return net.eval()


def test_metadata_keep_to_the_schema(tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    bundle.verify_metadata(meta_file=FILES["meta_file"], filepath=str(tmp_path / "schema.json"))
    metadata = ConfigParser.load_config_file(FILES["meta_file"])
    assert metadata["schema"].endswith("meta_schema_20240725.json")
    assert metadata["version"] in metadata["changelog"]
    spoilt = {key: value for key, value in metadata.items() if key != "task"}
    (tmp_path / "metadata.json").write_text(json.dumps(spoilt))
    with pytest.raises(ValueError, match="'task' is a required property"):
        bundle.verify_metadata(meta_file=str(tmp_path / "metadata.json"), filepath=str(tmp_path / "schema.json"))


def test_the_bundle_has_the_files_that_the_model_zoo_asks_for():
    bundle_root = CONFIGS.parent
    needed = "LICENSE configs/metadata.json configs/inference.json configs/logging.conf models/model.pt".split()
    for name in [*needed, "docs/README.md", "docs/data_license.txt"]:
        assert (bundle_root / name).is_file(), name
    tracked = subprocess.run(
        ["git", "ls-files", "-z", bundle_root], cwd=ROOT, capture_output=True, text=True, check=True
    )
    large = [name for name in tracked.stdout.split("\0") if name and (ROOT / name).stat().st_size > 25e6]
    assert not large, "list them in large_files.yml"
    page = (bundle_root / "docs" / "README.md").read_text()
    for heading in ("Data", "Training configuration", "Performance", "MONAI Bundle commands", "References", "License"):
        assert f"## {heading}\n" in page, heading


def test_versions_are_those_that_the_project_pins():
    lines = reversed((ROOT / "requirements.txt").read_text().splitlines())
    pinned = dict(line.split(";")[0].strip().split("==") for line in lines if "==" in line)
    metadata = ConfigParser.load_config_file(FILES["meta_file"])
    stated = {**metadata["required_packages_version"], "monai": metadata["monai_version"]}
    stated |= {"torch": metadata["pytorch_version"], "numpy": metadata["numpy_version"]}
    assert stated.pop("monai_seunet") == metadata["version"]
    assert stated == {name: pinned[name] for name in stated}


def test_network_has_the_shapes_of_the_metadata():
    bundle.verify_net_in_out("network_def", **FILES, device="cpu", width=12)


@pytest.mark.slow
def test_exports_give_the_same_numbers(trained, tmp_path):
    options = {**SMALL, "network_def#num_levels": 2, **FILES}
    options |= {name: str(tmp_path / "model.pt") for name in ("ckpt_file", "checkpoint")}
    shape = {"input_shape": [1, 3, SIZE, SIZE]}
    bundle.ckpt_export("network_def", filepath=str(tmp_path / "model.ts"), **options)
    bundle.onnx_export("network_def", filepath=str(tmp_path / "model.onnx"), **options, **shape)
    image = torch.rand(1, 3, SIZE, SIZE)
    with torch.no_grad():
        expected = load_weights(trained, tmp_path / "model.pt")(image).numpy()
        scripted = torch.jit.load(tmp_path / "model.ts")(image).numpy()
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (exported,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    assert expected.shape == (1, 2, SIZE, SIZE)
    np.testing.assert_allclose(scripted, expected, atol=1e-6)
    np.testing.assert_allclose(exported, expected, atol=1e-5)
