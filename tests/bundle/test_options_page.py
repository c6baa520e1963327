"""The page of options is that of the configs, and every id that a user may change has a sentence beside it."""

import inspect
import json
import re
import runpy
from typing import Any

import pytest
from monai.bundle import ConfigParser
from repository import ROOT

import monai_seunet

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "write_options.py"))
CONFIGS = {
    str(file.relative_to(ROOT / "bundle" / "configs")): json.loads(file.read_text(encoding="utf-8"))
    for _, _, files in SCRIPT["named_files"]()
    for file in files
}
SENTENCES = {name: text for config in CONFIGS.values() for _, name, text in SCRIPT["options"](config)}
INTERNAL = {name for config in CONFIGS.values() for name in SCRIPT["sentences"](config).get(SCRIPT["INTERNAL"], {})}


def test_the_page_is_what_the_script_makes():
    assert SCRIPT["PAGE"].read_text(encoding="utf-8") == SCRIPT["page"](), "run scripts/write_options.py"


def test_the_table_of_files_names_the_configs():
    assert {"train.json", "evaluate.json", "inference.json", "inference_wsi.json"} < set(CONFIGS)
    assert len(CONFIGS) > 30


@pytest.mark.parametrize("name", CONFIGS)
def test_every_id_has_a_sentence(name: str):
    known = {*SENTENCES, *INTERNAL, "network_def#_target_", "network_def#transposed", "network_def#levels"}
    assert not SCRIPT["values"](CONFIGS[name]).keys() - known


@pytest.mark.parametrize("name", CONFIGS)
def test_every_sentence_is_of_an_id(name: str):
    config = CONFIGS[name]
    for group, texts in SCRIPT["sentences"](config).items():
        for option, text in texts.items():
            assert option in config or option.startswith(("network_def#", "tags#")) or option in elsewhere(config)
            assert text.endswith(".") and not re.search(r"^[$@%]|[@%]#|\]\(", text), f"{group}: {option}"


def elsewhere(config: dict[str, Any]) -> set[str]:
    """Ids that only overlays have."""
    return {option for other in CONFIGS.values() if other is not config for option in SCRIPT["values"](other)}


@pytest.mark.parametrize("name", CONFIGS)
def test_words_stand_for_a_default_only_where_it_cannot_be_shown(name: str):
    values = SCRIPT["values"](CONFIGS[name])
    for _, option, text in SCRIPT["options"](CONFIGS[name]):
        assert (SCRIPT["WORDS"] in text) == (option not in values or SCRIPT["default"](values[option]) is None), option


def test_options_of_networks_are_arguments_of_networks():
    networks = [getattr(monai_seunet.networks, name) for name in monai_seunet.networks.nets.__all__]
    arguments = {argument for network in networks for argument in inspect.signature(network).parameters}
    described = {option.partition("#")[2] for option in SENTENCES if option.startswith("network_def#")}
    assert described and described <= arguments


def test_sentences_are_data_that_no_job_evaluates():
    parser = ConfigParser({"_desc_": {"Group": {"a": "$1 / 0", "b#c": "@nothing"}}, "a": 2, "b": "$@a + 1"})
    assert parser.get_parsed_content("b") == 3
