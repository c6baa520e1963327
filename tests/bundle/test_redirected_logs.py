"""Commands whose standard error is a file: lines, and no progress bars."""

import logging
import re
from pathlib import Path

import pytest
from dark_slides import draw, segmenter

from monai_seunet.cli import main
from monai_seunet.handlers import progress
from monai_seunet.slides.cohort.segment import segment_cohort

BAR = re.compile(r"\r|\d%\||it/s|s/it|image/s")


@pytest.fixture
def log(capfd):
    """What a command shows, with both of its streams in files."""

    def read() -> str:
        shown = capfd.readouterr()
        return shown.out + shown.err

    return read


def test_training_and_evaluation(workflow, log, monkeypatch, caplog):
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    scales = {"minimum_scale": 1.0, "maximum_scale": 1.0, "steps_per_octave": 1, "equivariance_crop": 32}
    for overlays, changes in (((), {"epochs": 2, "val_interval": 1}), (("evaluate",), scales)):
        run = workflow(*overlays, val_window=64, **changes)
        run.initialize()
        with caplog.at_level(logging.INFO):
            run.run()
    shown = log()
    assert not BAR.search(shown), BAR.search(shown)
    steps = [line for line in caplog.messages if re.fullmatch(r"(train|validate|evaluate):.* \d+ of \d+ steps", line)]
    assert {line.partition(":")[0] for line in steps} == {"train", "validate", "evaluate"}
    assert any(line.startswith("train: epoch 2 of 2, ") for line in steps)
    assert any("Epoch[2] Metrics" in line for line in caplog.messages), "a line an epoch"


def test_slides_and_data_sets(log, tmp_path: Path, monkeypatch):
    segment_cohort(segmenter(), [draw(tmp_path / f"{name}.tif") for name in "ab"], tmp_path / "out")
    assert main(["prepare", "synthetic", str(tmp_path / "set"), "--images", "3", "--pixels", "64"]) == 0
    shown = log()
    assert not BAR.search(shown), BAR.search(shown)
    assert [line.partition(":")[0] for line in shown.splitlines()[:2]] == ["a", "b"], "a line a slide"
