"""What users get wrong in evaluations is said in one line, and what fails leaves no report."""

import json

import numpy as np
import pytest
from PIL import Image

from monai_seunet.networks import SEUNet


@pytest.mark.parametrize("overlay", ["evaluate", "evaluate_rotation"])
def test_a_binary_mask_has_no_single_objects_to_score(mistake, blobs, overlay):
    content = json.loads((blobs / "dataset.json").read_text())
    for item in content["validation"]:
        label = np.zeros((64, 48), np.uint8)
        label[:10, :10] = label[50:, 30:] = 1
        Image.fromarray(label).save(blobs / item["label"])
    (blobs / "dataset.json").write_text(json.dumps(content | {"label_kind": "instances"}))
    assert "c.png: 1 number(s) for 2 separate areas" in mistake(overlay=overlay)


def test_what_cannot_be_evaluated_is_refused_before_a_network_is_made(mistake, monkeypatch, blobs):
    monkeypatch.setattr(SEUNet, "__init__", lambda *_, **__: pytest.fail("a network is made"))
    monkeypatch.setattr("monai_seunet.networks.checkpoints.load_checkpoint", lambda *_: pytest.fail("weights are read"))
    (blobs.parent / "models").mkdir()
    (blobs.parent / "models" / "model.pt").touch()
    for changes in ({"section": "test"}, {"num_classes": 3}, {"dataset_dir": "nowhere"}):
        assert mistake(**changes)
    content = json.loads((blobs / "dataset.json").read_text())
    del content["validation"][0]["label"]
    (blobs / "dataset.json").write_text(json.dumps(content))
    assert "validation[0]: the key 'label' is missing" in mistake()


def test_crops_that_do_not_fit_are_refused_before_the_evaluation(mistake):
    said = mistake(equivariance_crop=16, minimum_scale=0.25, maximum_scale=0.5)
    assert "switch this measurement off with --equivariance false" in said


@pytest.mark.parametrize(
    ("overlay", "changes", "message"),
    [
        *(
            (overlay, changes, message)
            for overlay in ("evaluate", "evaluate_rotation")
            for changes, message in (
                ({"section": "test"}, "the section 'test' is empty"),
                ({"max_images": 0}, "no image to evaluate"),
                ({"checkpoint": "nowhere.pt"}, "nowhere.pt: no such checkpoint"),
            )
        ),
        ("evaluate", {"minimum_scale": 4.0}, "scale range is from 4.0 to 2.0; give minimum_scale"),
        ("evaluate", {"section": "tset"}, "no section 'tset'; the sections are training, validation, test"),
        ("evaluate", {"num_classes": 3}, "has 2 classes (background, nucleus), but num_classes is 3"),
        ("evaluate_rotation", {"object_truth": "instances"}, "single objects are not labelled"),
        ("evaluate_rotation", {"iou_threshold": 0.2}, "iou_threshold is 0.2; give at least 0.5"),
        ("evaluate_rotation", {"fusion": "median"}, "fusion strategy is 'median'"),
        ("evaluate_rotation", {"precision": "float16"}, "precision is 'float16'"),
        ("evaluate_rotation", {"multiple": 128}, "is smaller than the stride of the network, 128"),
    ],
)
def test_what_a_user_gets_wrong_is_said_in_one_line_and_writes_nothing(mistake, tmp_path, overlay, changes, message):
    assert message in mistake(overlay=overlay, **changes)
    assert not list(tmp_path.glob("eval/**/*.json"))


@pytest.mark.parametrize(
    ("overlay", "drawn", "changes"),
    [
        ("evaluate", "reporting.network_figures", {"equivariance": False}),
        ("evaluate_rotation", "rotation_reporting.draw_absolute", {"max_images": 1}),
    ],
)
def test_an_evaluation_that_fails_half_way_leaves_no_report(evaluate, monkeypatch, overlay, drawn, changes):
    folder = evaluate(overlay=overlay, **changes)
    assert (folder / "report.json").exists()
    monkeypatch.setattr(f"monai_seunet.evaluation.{drawn}", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError, match="Failed to evaluate"):
        evaluate(overlay=overlay, **changes)
    assert not (folder / "report.json").exists()
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]
