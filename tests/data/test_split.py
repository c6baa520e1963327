import pytest

from monai_seunet.cli import main
from monai_seunet.data.split import fold_by_group, split_by_group, tcga_patient
from monai_seunet.utils.errors import InputError

NAMES = [f"patient{number}" for number in range(40)]


def test_shares_are_met_and_every_group_has_one_section():
    sections = split_by_group(NAMES * 3, validation=0.2, test=0.1)
    assert set(sections) == set(NAMES)
    counts = {name: list(sections.values()).count(name) for name in ("training", "validation", "test")}
    assert counts == {"training": 28, "validation": 8, "test": 4}


def test_split_depends_on_names_and_seed_alone():
    assert split_by_group(NAMES, 0.2) == split_by_group(reversed(NAMES), 0.2)
    assert split_by_group(NAMES, 0.2) != split_by_group(NAMES, 0.2, seed=1)


def test_a_new_group_moves_few_others():
    before, after = split_by_group(NAMES, 0.25), split_by_group([*NAMES, "newcomer"], 0.25)
    assert sum(before[name] != after[name] for name in NAMES) <= 1


@pytest.mark.parametrize(("validation", "test"), [(1, 0), (0, 1), (0.75, 0.25)])
def test_shares_of_one_in_total_leave_nothing_for_training(validation, test):
    sections = list(split_by_group(NAMES, validation, test).values())
    assert sections.count("validation") == 40 * validation and sections.count("test") == 40 * test
    assert list(split_by_group(["a"], 1).values()) == ["validation"]


def test_a_small_share_still_gets_a_group():
    assert list(split_by_group(["a", "b"], 0.01).values()).count("validation") == 1
    assert set(split_by_group(["a", "b"], 0).values()) == {"training"}


@pytest.mark.parametrize(
    ("names", "validation", "test"),
    [(["a"], 0.2, 0), (["a", "b"], 0.2, 0.2), (NAMES, 1, 0.2), (NAMES, 1.1, 0), (NAMES, -0.1, 0), (["a"], 0.5, 0.5)],
)
def test_shares_that_cannot_be_given_are_refused(names, validation, test):
    with pytest.raises(ValueError, match="validation"):
        split_by_group(names, validation, test)


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        ("folder", ["--validation", "0.2", "--test", "1"]),
        ("folder", ["--test", "0.9"]),
        ("tnbc", ["--test", "-0.1"]),
        ("bcss", ["--validation", "1.5"]),
    ],
)
def test_shares_that_conflict_are_refused_before_a_file_is_looked_at(tmp_path, refused, kind, shares):
    command = ["prepare", kind, str(tmp_path / "nowhere"), str(tmp_path / "set"), *shares]
    refused(main(command), "give 0 to 1 each, together at most 1")


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("TCGA-AR-A1AK-01Z-00-DX1", "TCGA-AR-A1AK"),
        ("TCGA-A1-A0SK-DX1_xmin45_MPP-0.2500", "TCGA-A1-A0SK"),
        ("a-b-c-d", "a-b-c-d"),
    ],
)
def test_patient_of_a_tcga_name(name, patient):
    assert tcga_patient(name) == patient


def test_every_group_is_validated_in_one_fold():
    folds = [fold_by_group(NAMES[:32], fold, 5) for fold in range(5)]
    validated = [[name for name, section in sections.items() if section == "validation"] for sections in folds]
    assert sorted(name for names in validated for name in names) == sorted(NAMES[:32])
    assert {len(names) for names in validated} == {6, 7} and all(set(sections) == set(NAMES[:32]) for sections in folds)
    assert fold_by_group(NAMES, 0, 5) == split_by_group(NAMES, 0.2), "the first fold is the usual split"


@pytest.mark.parametrize(
    ("fold", "folds", "message"),
    [(5, 5, "fold is 5 of 5"), (-1, 5, "fold is -1"), (0, 1, "at least 2"), (0, 41, "cannot be cut into 41 folds")],
)
def test_impossible_folds_are_refused(fold, folds, message):
    with pytest.raises(InputError, match=message):
        fold_by_group(NAMES, fold, folds)
