"""Texts in the settings of commands that are no bundle run."""

import json
import shutil
from pathlib import Path

import pytest
from monai.bundle import ConfigParser
from repository import BUNDLE, CONFIGS

from monai_seunet.config.read import content, read_config
from monai_seunet.config.texts import literal, read_setting, write_setting
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.utils.errors import InputError

VALUES = [
    *("2023_01", "1e3", "007", "null", "true", "nan", "Case #12", "a::b", "a,b", "$x", "$1 / 0", "@x", "%x", "[1]"),
    *("{}", '"a"', "it's", "a\\x23", "$'a'", "ä ö", "", " ", "@#a", "a@##b", "%#c", "$import os", "a\nb\0", "\udce4"),
]


@pytest.mark.parametrize("value", VALUES)
def test_a_text_of_a_setting_stays_a_text(value):
    config = read_config(BUNDLE, "seunet_octaves", settings={"experiment": value, "ckpt_dir": value}, job="train")
    assert content(config, "experiment") == value
    name, path = read_setting(write_setting("ckpt_dir", Path("a", value)))
    config = read_config(BUNDLE, "seunet_octaves", settings={name: path})
    assert content(config, "checkpoint") == f"{Path('a', value)}/model.pt"


@pytest.mark.parametrize("value", VALUES)
def test_monai_gives_back_what_is_written_as_a_literal(value):
    config = ConfigParser({"x": literal(value), "y": [literal(value)], "z": {"a": literal(value)}, "w": "@x"})
    config.parse()
    found = [config.get_parsed_content(name) for name in ("x", "y", "z", "w")]
    assert found == [value, [value], {"a": value}, value]


def test_other_settings_are_json_and_expressions():
    settings = ["width=24", "network_def#group=p4", "stain=false", "threads=$1 + 1", "run_name=null", "pretrained=None"]
    settings.append("dataset_dir=['a #1','2']")
    config = read_config(BUNDLE, "seunet_octaves", settings=dict(map(read_setting, settings)), job="train")
    assert [content(config, name) for name in ("width", "stain", "threads", "run_name")] == [24, False, 2, None]
    assert content(config, "pretrained") is None and content(config, "dataset_dir") == ["a #1", "2"]
    for name, value in {"width": 24, "stain": False, "dataset_dir": ["a", "2"], "run_name": None}.items():
        written = write_setting(name, value)
        assert read_setting(written) == (name, value)


def test_a_bundle_may_lie_in_any_folder(tmp_path):
    bundle = tmp_path / "it's #1 $x @bundle_root"
    shutil.copytree(CONFIGS, bundle / "configs")
    overlay = {"output_dir": "a #2", "dataset_dir": ["b::c", "$'d' + 'e'"], "ckpt_dir": "$@output_dir + '!'"}
    (bundle / "configs" / "mine.json").write_text(json.dumps(overlay))
    config = read_config(bundle, "seunet_octaves", overlays=["mine"], job="train")
    assert content(config, "stain_target") == f"{bundle}/configs/stain_target.json"
    assert [content(config, name) for name in overlay] == ["a #2", ["b::c", "de"], "a #2!"]
    with pytest.raises(InputError, match=r"it's #1 \$x @bundle_root/no #3\.pt: no such checkpoint"):
        configure_segmenter(bundle, "seunet_octaves", checkpoint=bundle / "no #3.pt")
    with pytest.raises(InputError, match="device is 'gpu', which PyTorch does not know"):
        configure_segmenter(bundle, "seunet_octaves", checkpoint=BUNDLE / "models/model.pt", settings={"device": "gpu"})


@pytest.mark.parametrize(("written", "meaning"), [("false", False), ("False", False), ("true", True), (False, False)])
def test_a_switch_may_be_a_text(written, meaning):
    settings = {"stain": written, "network_def#shared_norm": written, "tags#a": written}
    config = read_config(BUNDLE, "seunet_octaves", settings=settings, job="train")
    assert [config[name] for name in settings] == [meaning, meaning, written]
    slides = read_config(BUNDLE, "seunet_octaves", settings={"stain": written}, job="inference_wsi")
    assert (content(slides, "preprocessing").stain_target is not None) is meaning
