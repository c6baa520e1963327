"""What the pages show of experiments is so: the example is understood, and tables are those of the archived runs."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from repository import BUNDLE, ROOT

from monai_seunet.cli import main
from monai_seunet.experiments.plan import read_experiment
from monai_seunet.report.scales.report import ScaleReport

RESULTS = ROOT / "docs" / "results"
SHOWN = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
ARCHIVES = sorted(path.parent.name for path in RESULTS.glob("*/experiment.json"))
CARD = {  # file of weights -> the training that made it
    "model.pt": "nuclei_he",
    "plain_unet.pt": "nuclei_he_plain",
    "nuclei_he_free.pt": "nuclei_he_free",
    "nuclei_fluorescence.pt": "nuclei_fluorescence",
}


def test_the_example_of_an_experiment_can_be_read(tmp_path):
    page = (BUNDLE / "docs" / "experiments.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (tmp_path / "dice.json").write_text(example)
    experiment = read_experiment(BUNDLE, str(tmp_path / "dice.json"))
    assert len(experiment.trainings) == 6 and len(experiment.claims) == 2
    assert list(experiment.trainings[0].evaluations) == ["evaluate", "evaluate@tnbc"]


@pytest.mark.parametrize("name", ARCHIVES)
def test_archived_trainings_are_those_that_the_experiment_would_run(name):
    planned = {training.name: training for training in read_experiment(BUNDLE, name).trainings}
    for state in sorted((RESULTS / name).glob("*/training.json")):
        assert json.loads(state.read_text())["plan"] == planned[state.parent.name].plan(), state


def tables(text):
    """The tables of a page, each as its lines, sorted."""
    return sorted(block.splitlines() for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ARCHIVES if name != "weights"])  # those have a card
def test_tables_of_results_are_those_of_the_archived_runs(name, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = ["--output", str(tmp_path)]
    assert main(["restore", str(RESULTS / name), *store]) == 0
    assert main(["report", name, *store]) == 0
    report = tmp_path / name / "report"
    files = [*report.glob("*/methods.md"), *report.glob("*/rotations.md")]
    made = tables("\n\n".join(file.read_text(encoding="utf-8") for file in files))
    (section,) = [part for part in re.split(r"^## ", SHOWN, flags=re.MULTILINE) if f"\n`{name}`:" in part]
    heads = {table[0] for table in made}
    assert made and [table for table in tables(section) if table[0] in heads] == made


@pytest.mark.parametrize("file", sorted(CARD))
def test_weights_are_those_of_the_archived_runs_and_so_is_their_card(file):
    archived = RESULTS / "weights" / f"{CARD[file]}-0" / "artifacts"
    certificate = json.loads((archived / "certificate" / "certificate.json").read_text())
    assert hashlib.sha256((ROOT / "bundle/models" / file).read_bytes()).hexdigest() == certificate["network"]["sha256"]
    report = ScaleReport.load(archived / "evaluation" / "validation" / "report.json")
    scores = dict(zip(report.scores.scales, 100 * report.scores.curve(report.final), strict=True))
    cells = [f"{score:.1f}" for place, score in enumerate(scores.values()) if place % 2 == 0]
    cells += [f"{100 * report.scores.mean(report.final):.1f}", f"{report.equivariance.mean:.3f}"]
    assert f"| `{file}` | {' | '.join(cells)} |" in (ROOT / "bundle/models/README.md").read_text(encoding="utf-8")
