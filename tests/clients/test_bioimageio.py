"""A BioImage.IO model in its own client, bioimageio.core, offline."""

import hashlib
import json
import re

import numpy as np
import pytest
import ruyaml
from bioimageio.core import load_model_description, predict, test_model
from repository import ROOT
from skimage.data import immunohistochemistry

from monai_seunet.cli import main
from monai_seunet.config.defaults import default_bundle
from monai_seunet.networks import PlainUNet
from monai_seunet.networks.checkpoints import save_checkpoint
from monai_seunet.nuclei import segment
from monai_seunet.writers.raster import write_raster

test_model.__test__ = False  # a function of bioimageio.core, no test of this file


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The default model."""
    folder = tmp_path_factory.mktemp("models") / "nuclei"
    assert main(["export", "--format", "bioimageio", "-o", str(folder)]) == 0
    return folder


@pytest.fixture
def small(tmp_path):
    """The command that exports a small plain U-Net, and its folder."""
    save_checkpoint(PlainUNet(width=4).state_dict(), tmp_path / "model.pt")
    command = ["export", "--format", "bioimageio", "-o", str(tmp_path / "small"), "--network", "plain_unet"]
    return [*command, "--width", "4", "--checkpoint", str(tmp_path / "model.pt")], tmp_path / "small"


def problems(summary):
    """The errors of a test by the weights that have them."""
    return {detail.loc: [error.msg for error in detail.errors] for detail in summary.details if detail.errors}


@pytest.mark.slow
def test_both_weights_give_the_test_tensors_and_run_at_other_sizes(model):
    summary = test_model(model / "rdf.yaml", devices=["cpu"])
    assert summary.status == "passed", problems(summary)
    assert {detail.loc for detail in summary.details} >= {("weights", "onnx"), ("weights", "torchscript")}


def test_a_changed_test_tensor_fails(small):
    command, folder = small
    assert main([*command, "--licence", "CC0"]) == 0
    former = hashlib.sha256((folder / "test_output.npy").read_bytes()).hexdigest()
    np.save(folder / "test_output.npy", np.load(folder / "test_output.npy") + np.float32(0.01))
    new = hashlib.sha256((folder / "test_output.npy").read_bytes()).hexdigest()
    text = (folder / "rdf.yaml").read_text()
    assert former in text
    (folder / "rdf.yaml").write_text(text.replace(former, new))
    summary = test_model(folder / "rdf.yaml", weight_format="onnx", devices=["cpu"], stop_early=True)
    assert summary.status != "passed" and "disagree" in str(problems(summary))


def test_the_foreground_is_that_of_segment(model, tmp_path):
    image = write_raster(tmp_path / "tissue.png", immunohistochemistry())
    sample = predict(model=str(model), inputs={"image": str(image)})
    probabilities = np.asarray(sample.members["probabilities"].data)
    assert probabilities.shape == (1, 2, 512, 512)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    found, nuclei = probabilities[0, 1] > 0.5, segment(image).labels > 0
    assert (found & nuclei).sum() / nuclei.sum() > 0.9
    assert (found & nuclei).sum() / (found | nuclei).sum() > 0.6  # `segment` drops what is small and uncertain


def test_the_description_states_licence_authors_and_papers(model):
    description = load_model_description(model / "rdf.yaml")
    citation = ruyaml.YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    paper = citation["references"][0]
    assert [author.name for author in description.authors] == [author["name"] for author in citation["authors"]]
    assert str(description.cite[0].url) == paper["url"] and paper["title"] in description.cite[0].text
    assert description.license == "CC-BY-4.0"
    size, halo = description.inputs[0].axes[2].size, description.outputs[0].axes[2].halo
    assert (size.min, size.step, halo) == (448, 64, 192)
    assert (model / "cover.png").stat().st_size < 500_000
    page = (model / "README.md").read_text()
    assert "2 `foreground`" in page and "are fused (`p_conf`)" in page
    assert "53.5" in page and "2018 Data Science Bowl (CC0), TNBC (CC BY 4.0)" in page


def test_a_network_of_the_user_and_mistakes(small, tmp_path, refused, capsys):
    command, folder = small
    refused(main(command), "the licence of these weights is not known; give it as --licence, such as CC-BY-4.0")
    refused(main([*command, "--licence", "secret"]), "licence is 'secret', and https://spdx.org/licenses has no")
    assert not list(tmp_path.glob("*small*"))
    command = [*command, "--licence", "CC0"]
    names = json.dumps(["glass", "gland"])
    assert main([*command, "--set", f"class_names={names}"]) == 0
    assert "small: BioImage.IO model of PlainUNet, CC0-1.0; bioimageio test " in capsys.readouterr().out
    summary = test_model(folder / "rdf.yaml", devices=["cpu"])
    assert summary.status == "passed", problems(summary)
    assert load_model_description(folder / "rdf.yaml").outputs[0].axes[1].channel_names == ["glass", "gland"]
    page = (folder / "README.md").read_text()
    assert "1 `glass`, 2 `gland`" in page and "threshold the channel `gland`" in page and "has one scale" in page
    refused(main(command), "small: exists already; give another folder or --overwrite")
    assert main([*command, "--overwrite"]) == 0
    (folder / "mine.tif").touch()
    refused(main([*command, "--overwrite"]), "mine.tif: no file of this format, so the folder is not replaced")
    (folder / "mine.tif").unlink()
    (folder / "rdf.yaml").unlink()
    refused(main([*command, "--overwrite"]), "small: holds no rdf.yaml, so it is not replaced; give another folder")
    refused(main([*command, "--set", "haematoxylin=true", "-o", str(tmp_path / "other")]), "haematoxylin is true")


def test_every_listed_licence_is_known_to_spdx():
    from bioimageio.spec.model.v0_5 import LicenseId

    from monai_seunet.config.models import trained_models
    from monai_seunet.export.model_card import read_card

    for name in trained_models():
        assert LicenseId(read_card(default_bundle(), name, "").spdx())
    assert re.fullmatch(r"CC-BY-NC-SA-4\.0", read_card(default_bundle(), "nuclei_he", "").spdx())
