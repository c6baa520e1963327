"""What the pages show of experiments is so: the example is understood, and tables are those of the archived runs."""

import hashlib
import json
import re
import runpy

import pytest
from repository import BUNDLE, ROOT

from monai_seunet.experiments.archive_file import read_runs
from monai_seunet.experiments.plan import read_experiment
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.utils.errors import InputError

RESULTS = ROOT / "docs" / "results"
SHOWN = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
ARCHIVES = sorted(path.parent.name for path in RESULTS.glob("*/runs.parquet"))
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
    for run in read_runs(RESULTS / name):
        assert run.state["plan"] == planned[run.name].plan(), run.name


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_hold_no_path_of_the_machine_they_were_made_on(name):
    for run in read_runs(RESULTS / name):
        contents = [content.decode() for path, content in run.files.items() if path.endswith(".json")]
        texts = [json.dumps([run.tags, run.params]), *contents]
        assert len(texts) > 3 and not [text for text in texts if re.search(r'"/|://(?!{)|/home/', text)], run.name


def test_results_stay_small():
    files = [path for path in RESULTS.rglob("*") if path.is_file()]
    assert len(files) < 300 and sum(path.stat().st_size for path in files) < 5e6


def test_tables_of_results_are_those_of_the_archives():
    filled = runpy.run_path(str(ROOT / "scripts" / "update_results.py"))["filled"]
    assert filled(SHOWN) == SHOWN, "run scripts/update_results.py"
    other = "<!-- table: glands/evaluation_validation/methods -->\n| 1 |\n<!-- end -->"
    assert "| 1 |" not in filled(other) and filled(other) in SHOWN
    with pytest.raises(InputError, match="glands has no table nothing; choose one of evaluation_validation/methods"):
        filled("<!-- table: glands/nothing --><!-- end -->")
    for name in {*ARCHIVES} - {"weights"}:  # those have a card
        (section,) = [part for part in re.split(r"^## ", SHOWN, flags=re.MULTILINE) if f"\n`{name}`:" in part]
        assert set(re.findall("<!-- table: ([^/]+)/", section)) == {name}


@pytest.mark.parametrize("file", sorted(CARD))
def test_weights_are_those_of_the_archived_runs_and_so_is_their_card(file):
    (run,) = [run for run in read_runs(RESULTS / "weights") if run.name == f"{CARD[file]}-0"]
    certificate = json.loads(run.files["certificate/certificate.json"])
    assert hashlib.sha256((ROOT / "bundle/models" / file).read_bytes()).hexdigest() == certificate["network"]["sha256"]
    report = ScaleReport.from_dict(json.loads(run.files["evaluation/validation/report.json"]))
    scores = dict(zip(report.scores.scales, 100 * report.scores.curve(report.final), strict=True))
    cells = [f"{score:.1f}" for place, score in enumerate(scores.values()) if place % 2 == 0]
    cells += [f"{100 * report.scores.mean(report.final):.1f}", f"{report.equivariance.mean:.3f}"]
    assert f"| `{file}` | {' | '.join(cells)} |" in (ROOT / "bundle/models/README.md").read_text(encoding="utf-8")
