"""The trained models of the bundle are listed with their licences."""

import argparse

import pytest
from repository import BUNDLE, CONFIGS, ROOT

from monai_seunet.cli import main
from monai_seunet.commands.network_options import add_model_option, add_network_options, choose_model
from monai_seunet.config.models import find_model, trained_models
from monai_seunet.utils.errors import InputError


def test_every_model_has_an_overlay_and_a_card():
    models = trained_models(BUNDLE)
    assert {path.stem for path in (CONFIGS / "weights").glob("*.json")} == models.keys()
    card = (BUNDLE / "models" / "README.md").read_text()
    for model in models.values():
        assert model.licence in card
        for aji, pq, f1 in model.scores.values():
            assert f"| {aji:.1f} | {pq:.1f} | {f1:.1f} (" in card


def test_the_default_allows_any_use():
    first, *_ = trained_models().values()
    assert first.commercial_use and first.name == "nuclei_he_free"


def test_the_command_lists_licences_and_scores(capsys):
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert "nuclei_he: nuclei in H&E\n  licence: CC BY-NC-SA 4.0, non-commercial use only" in shown
    assert shown.count("licence: ") == len(trained_models())


def test_an_unknown_model_is_refused_with_the_known_ones(tmp_path, capsys):
    with pytest.raises(InputError, match="model 'cells' is unknown; choose one of nuclei_he_free, nuclei_he, "):
        find_model("cells")
    (tmp_path / "a.png").touch()
    assert main(["segment", str(tmp_path / "a.png"), "--model", "cells"]) == 2
    assert "model 'cells' is unknown" in capsys.readouterr().err


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"models\.json: no list of models"):
        trained_models(tmp_path)


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ([], "nuclei_he_free"),
        (["--bundle", "bundle"], "nuclei_he_free"),
        (["--model", "nuclei_he"], "nuclei_he"),
        (["--checkpoint", "a.pt"], None),
        (["--network", "plain_unet"], None),
        (["--overlay", "weights/nuclei_he"], None),
        (["--bundle", "other"], None),
    ],
)
def test_the_default_model_is_used_where_nothing_else_is_named(words, model, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    parser = argparse.ArgumentParser()
    add_model_option(parser)
    add_network_options(parser)
    options = parser.parse_args(words)
    choose_model(options)
    assert options.model == model and capsys.readouterr().out.startswith(f"model {model}: " if model else "")
