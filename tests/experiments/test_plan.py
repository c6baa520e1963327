"""The files of experiments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fire.parser import DefaultParseValue

from monai_seunet.errors import InputError
from monai_seunet.experiments.claims import claims_table
from monai_seunet.experiments.plan import FOLDER, Claim, read_experiment
from monai_seunet.experiments.training import _literal

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
SHIPPED = sorted(path.stem for path in (BUNDLE / "configs" / FOLDER).glob("*.json"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_experiments_can_be_read(name):
    experiment = read_experiment(BUNDLE, name)
    names = [training.name for training in experiment.trainings]
    assert experiment.name == name and len(names) == len(set(names)) > 1
    assert all(training.threads == 1 for training in experiment.trainings)


def test_own_keys_are_added_to_those_of_all_and_first_seeds_come_first(write_experiment):
    experiment = read_experiment(BUNDLE, str(write_experiment()))
    assert [training.name for training in experiment.trainings] == [
        "SEUNet-geometric-0",
        "PlainUNet-0",
        "SEUNet-geometric-1",
    ]
    plain = experiment.trainings[1]
    assert plain.overlays == ("networks/plain_unet",) and plain.options["width"] == 5
    assert list(plain.evaluations) == ["evaluate", "evaluate_rotation"]
    assert experiment.methods == ("SEUNet-geometric", "PlainUNet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "x"}, "titel"),
        ({"trainings": {"A": {"overlay": []}}}, "A has the unknown key 'overlay'"),
        ({"trainings": {"A": {"overlays": ["networks/none"]}}, "claims": []}, "names the overlay 'networks/none'"),
        ({"claims": [{"better": "A", "than": "PlainUNet", "points": 1}]}, "'A' is none of its trainings"),
        ({"trainings": {"../A": {}}, "claims": []}, "cannot name a folder"),
        ({"tables": {"x": ["B"]}}, "'B' is none of its trainings"),
    ],
)
def test_mistakes_in_a_file_are_named(write_experiment, changes, message):
    with pytest.raises(InputError, match=message):
        read_experiment(BUNDLE, str(write_experiment(**changes)))


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"choose one of .*scales_equal_samples"):
        read_experiment(BUNDLE, "nothing")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        read_experiment(BUNDLE, str(tmp_path / "broken.json"))


def test_claims_are_differences_of_means_with_their_spread():
    claims = [Claim("A", "B", 2), Claim("A", "C", 5), Claim("A", "missing", 1)]
    table = claims_table(claims, {"A": [50.0, 54.0], "B": [48.0, 50.0], "C": [47.0]})
    assert table.rows == ("A - B", "A - C")
    np.testing.assert_allclose(table.values[0], [3, np.sqrt(8 / 2 + 2 / 2), 2, 2, 2])
    np.testing.assert_allclose(table.values[1], [5, np.nan, 5, 2, 1])
    assert table.best[:, 0].tolist() == [True, True] and not table.best[:, 1:].any()
    assert not claims_table([Claim("B", "A", -2.9)], {"A": [52.0], "B": [49.0]}).best.any()


@pytest.mark.parametrize("value", ["20", "1.4", "None", "(a)", "SEUNet", "a b", True, None, 0.5, [1, 2]])
def test_values_arrive_on_a_command_line_as_they_are(value):
    read = DefaultParseValue(_literal(value))
    assert read == (value if isinstance(value, str | float | list) else f"${value}")
