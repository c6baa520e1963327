"""Facts about exported models for people."""

import pytest

from monai_seunet.cli import main
from monai_seunet.config.defaults import default_bundle
from monai_seunet.export.model_card import ModelCard, read_card
from monai_seunet.utils.errors import InputError

CARD = ModelCard(
    "my nuclei 2.0", "nuclei", "CC BY 4.0", "A. Author", "1.2.3", ["Some paper, arXiv:2304.04595", "No link"]
)


def test_the_description_has_the_facts_of_the_card():
    facts = CARD.description(colour=False, tags=["instance-segmentation"])
    assert (facts["name"], facts["version"], facts["license"]) == ("my nuclei 2 0", "1.2.3", "CC-BY-4.0")
    assert facts["authors"] == [{"name": "A. Author"}]
    assert facts["cite"] == [{"text": "Some paper, arXiv:2304.04595", "url": "https://arxiv.org/abs/2304.04595"}]
    assert "instance-segmentation" in facts["tags"] and "histology" not in facts["tags"]
    assert "histology" in CARD.description(colour=True, tags=[])["tags"]


def test_the_page_says_what_holds_for_the_network():
    page = CARD.page(colour=True, stain=False, fusion=None, class_names=["glass", "gland", "edge"], halo=192)
    assert "1 `glass`, 2 `gland`, 3 `edge`" in page and "threshold the channel `gland` or `edge` at 0.5" in page
    assert "has one scale" in page and "fused" not in page and "stain (haematoxylin" not in page
    page = CARD.page(colour=True, stain=True, fusion="p_conf", class_names=["background", "nuclei"], halo=192)
    assert "fused (`p_conf`)" in page and "has one scale" not in page and "stain (haematoxylin" in page


def test_a_licence_is_one_of_spdx():
    bundle = default_bundle()
    assert read_card(bundle, None, "mine", "cc-by-nc-sa-4.0").spdx() == "CC-BY-NC-SA-4.0"
    with pytest.raises(InputError, match="licence is 'secret', and https://spdx"):
        read_card(bundle, None, "mine", "secret")


@pytest.mark.parametrize("form", ["bioimageio", "instanseg"])
def test_other_weights_do_not_get_the_licence_and_scores_of_a_model(form, tmp_path, refused):
    weights = str(default_bundle() / "models" / "model.pt")
    command = ["export", "--format", form, "-o", str(tmp_path / "mine"), "--model", "nuclei_he_free"]
    refused(main([*command, "--checkpoint", weights]), "the licence of these weights is not known")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("form", "option", "message"),
    [
        ("ts", ["--licence", "CC0"], "--licence has no effect on format ts, which takes --fused and --size"),
        ("bioimageio", ["--size", "64", "64"], "--size has no effect on format bioimageio, which takes --licence"),
        ("instanseg", ["--fused"], "--fused has no effect on format instanseg, which takes --licence; leave it out"),
    ],
)
def test_options_of_other_formats_are_refused(form, option, message, tmp_path, refused):
    refused(main(["export", "--format", form, "-o", str(tmp_path / "out.ts"), *option]), message)
    assert not list(tmp_path.iterdir())
