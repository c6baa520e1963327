"""The files of experiments."""

import numpy as np
import pytest
from fire.parser import DefaultParseValue
from repository import BUNDLE, CONFIGS

from monai_seunet.config.command_line import command_word
from monai_seunet.experiments.claims import claims_by_data_set, claims_table
from monai_seunet.experiments.plan import FOLDER, Claim, read_experiment
from monai_seunet.experiments.training import check_dataset
from monai_seunet.metrics import ScaleScores
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.utils.errors import InputError

SHIPPED = sorted(path.stem for path in (CONFIGS / FOLDER).glob("*.json"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_experiments_can_be_read(name):
    experiment = read_experiment(BUNDLE, name)
    names = [training.name for training in experiment.trainings]
    assert experiment.name == name and len(names) == len(set(names)) > 1
    assert all(training.threads == 1 for training in experiment.trainings)


def test_own_keys_are_added_to_those_of_all_and_first_seeds_come_first(write_experiment):
    experiment = read_experiment(BUNDLE, str(write_experiment()))
    names = [training.name for training in experiment.trainings]
    assert names == ["SEUNet-geometric-0", "PlainUNet-0", "SEUNet-geometric-1"]
    plain = experiment.trainings[1]
    assert plain.overlays == ("networks/plain_unet",) and plain.options["width"] == 5
    assert list(plain.evaluations) == ["evaluate", "evaluate_rotation", "evaluate@elsewhere"]
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
        ({"fusion": "max"}, "fusion is 'max'; choose one of arithmetic, p_dist"),
        ({"evaluations": {"evaluat@b": {}}}, "names the overlay 'evaluat'"),
        ({"evaluations": {"evaluate@a/b": {}}}, "'evaluate@a/b' cannot name a folder; call it 'evaluate@a_b'"),
        ({"evaluations": {"evaluate@": {}}}, "'evaluate@' cannot name a folder"),
        ({"claims": [{"method": "A", "range": 8}]}, "'A' is none of its trainings"),
        ({"claims": [{"method": "PlainUNet", "range": "8"}]}, "has 'range' '8', which is no number"),
        ({"claims": [{"method": "PlainUNet", "range": 8, "points": 1}]}, "range, points instead of method, range"),
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


def test_one_overlay_evaluates_several_data_sets(write_experiment, elsewhere, tmp_path):
    evaluations = {"evaluate": {"field": 64}, "evaluate@b": {"dataset_dir": str(elsewhere), "field": 32}}
    (training, *_) = read_experiment(BUNDLE, str(write_experiment(evaluations=evaluations))).trainings
    assert training.evaluations == evaluations
    check_dataset(training, BUNDLE)
    for changes, message in (
        ({"dataset_dir": str(tmp_path / "absent")}, "absent: no such data set"),
        ({"dataset_dir": str(elsewhere), "section": "test"}, "the section 'test' is empty"),
        ({"field": 32}, "'evaluate' and 'evaluate@b' both evaluate validation of a data set named 'synthetic'"),
    ):
        wrong = {**evaluations, "evaluate@b": changes}
        (training, *_) = read_experiment(BUNDLE, str(write_experiment(evaluations=wrong))).trainings
        with pytest.raises(InputError, match=message):
            check_dataset(training, BUNDLE)


def reports_of(*curves):
    """Evaluations of a network with one head, from (method, IoU in percent at every scale)."""
    made = []
    for method, *curve in curves:
        hits = (10 * np.array(curve)).astype(int)
        confusion = np.array([[[[5000, 0], [1000 - hit, hit]]] for hit in hits])
        scores = ScaleScores((0.5, 1.0)[: len(curve)], ("head 1",), confusion, hits[:, None] / 1000, images=1)
        made.append(ScaleReport(method=method, scores=scores, classes=("background", "nucleus")))
    return made


def test_claims_are_differences_of_means_with_their_spread():
    claims = [Claim(("A", "B"), 2), Claim(("A", "C"), 5), Claim(("A", "missing"), 1)]
    table = claims_table(claims, reports_of(("A", 50), ("B", 48), ("C", 47), ("A", 54), ("B", 50)))
    assert table.rows == ("A - B", "A - C")
    np.testing.assert_allclose(table.values[0], [3, np.sqrt(8 / 2 + 2 / 2), 2, 2, 2])
    np.testing.assert_allclose(table.values[1], [5, np.nan, 5, 2, 1])
    assert table.best[:, 0].tolist() == [True, True] and not table.best[:, 1:].any()
    assert not claims_table([Claim(("B", "A"), -2.9)], reports_of(("A", 52), ("B", 49))).best.any()


def test_claims_of_a_range_are_of_the_mean_curve_of_the_seeds():
    seeds = reports_of(("A", 40, 60), ("A", 58, 50))  # ranges of 20 and 8, of the mean 6
    table = claims_table([Claim(("A",), 6.5), Claim(("A",), 5.5), Claim(("missing",), 1)], seeds)
    assert table.rows == ("range of A (at most)",) * 2
    np.testing.assert_allclose(table.values, [[6, np.nan, 6.5, 2, np.nan], [6, np.nan, 5.5, 2, np.nan]])
    assert table.best[:, 0].tolist() == [True, False] and not table.best[:, 1:].any()


def test_claims_are_measured_on_every_data_set():
    found = {"here": reports_of(("A", 40, 60), ("B", 30, 31)), "there": reports_of(("A", 50, 51))}
    table = claims_by_data_set([Claim(("A", "B"), 5), Claim(("A",), 8), Claim(("B",), 8)], found)
    assert table.rows == ("A - B", "range of A (at most)", "range of B (at most)")
    assert table.columns == ("here", "there", "claimed")
    np.testing.assert_allclose(table.values, [[19.5, np.nan, 5], [20, 1, 8], [1, np.nan, 8]])
    assert table.best.tolist() == [[True, False, False], [False, True, False], [True, False, False]]


@pytest.mark.parametrize("value", ["20", "1.4", "None", "(a)", "SEUNet", "a b", True, None, 0.5, [1, 2]])
def test_values_arrive_on_a_command_line_as_they_are(value):
    read = DefaultParseValue(command_word("fusion", value).partition("=")[2])
    assert read == (value if isinstance(value, str | float | list) else f"${value}")
