"""The folds of a cross-validation in an experiment and in its report."""

import json

import numpy as np
import pytest
from experiment_runs import runs_of
from repository import BUNDLE

from monai_seunet.data import load_dataset, with_fold
from monai_seunet.experiments.archive_file import ArchivedRun
from monai_seunet.experiments.plan import read_experiment
from monai_seunet.experiments.records import archived_records
from monai_seunet.experiments.tables import experiment_parts
from monai_seunet.experiments.training import check_dataset
from monai_seunet.metrics import ObjectScores, ScaleScores
from monai_seunet.metrics.objects.scores import COLUMNS
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.tracking import split_hash
from monai_seunet.utils.errors import InputError


@pytest.fixture
def folded(write_experiment):
    """The experiment of one method in three folds, and of one without folds."""

    def read(**changes):
        trainings = {"A": {"folds": 3, "seeds": [0, 1]}, "B": {}}
        return read_experiment(BUNDLE, str(write_experiment(trainings=trainings, claims=[], **changes)))

    return read


def test_a_method_is_trained_once_for_each_fold_and_seed(folded):
    trainings = folded().trainings
    names = ["A-0-fold0", "B-0", "A-0-fold1", "A-0-fold2", "A-1-fold0", "A-1-fold1", "A-1-fold2"]
    assert [training.name for training in trainings] == names
    assert trainings[2].plan()["fold"] == [1, 3]
    assert "fold" not in trainings[1].plan(), "plans of earlier versions lack it"


@pytest.mark.parametrize("folds", [1, 0, True, "5", 2.5])
def test_a_wrong_number_of_folds_is_refused(write_experiment, folds):
    with pytest.raises(InputError, match="'folds' of A is"):
        read_experiment(BUNDLE, str(write_experiment(trainings={"A": {"folds": folds}}, claims=[])))


def test_folds_that_the_data_set_does_not_have_are_refused_before_a_training(write_experiment):
    experiment = read_experiment(BUNDLE, str(write_experiment(trainings={"A": {"folds": 99}}, claims=[])))
    with pytest.raises(InputError, match="cannot be cut into 99 folds"):
        check_dataset(experiment.trainings[0], BUNDLE)


def run_of(method: str, seed: int, fold: int, hits: list[int], scale: float = 1.0) -> ArchivedRun:
    """A training in three folds whose evaluation found so many of the 100 nucleus pixels of each image."""
    confusion = np.array([[[[0, 0], [100 * len(hits) - sum(hits), sum(hits)]]]])
    counts = np.zeros((1, len(hits), len(COLUMNS)))
    for column in ("true", "predicted", "matched_50"):
        counts[0, :, COLUMNS.index(column)] = 1
    counts[0, :, COLUMNS.index("aji_intersection")] = hits
    counts[0, :, COLUMNS.index("aji_union")] = 100
    split = f"12345678-fold{fold}of3"
    report = ScaleReport(
        method=method,
        scores=ScaleScores((scale,), ("head 1",), confusion, np.array([[np.mean(hits) / 100]]), images=len(hits)),
        objects=ObjectScores((scale,), counts),
        classes=("background", "nucleus"),
        data="blobs",
        section="validation",
        split=split,
    )
    tags = {"network": method, "seed": str(seed), "data": "blobs", "split": split}
    files = {"evaluation/validation/report.json": json.dumps(report.to_dict()).encode()}
    return ArchivedRun(f"{method}-{seed}-fold{fold}", 0, 1, tags, {}, {}, [], files)


def test_the_folds_of_a_seed_are_scored_as_one_set_of_images(folded, tmp_path):
    found = {0: [[10, 20], [30], [90]], 1: [[20, 20], [40], [80]]}
    runs = [run_of("A", seed, fold, hits) for seed, folds in found.items() for fold, hits in enumerate(folds)]
    records = archived_records(runs, tmp_path)
    (part,) = experiment_parts(folded(), records)
    assert [record.name for record in part.records] == ["A-0-fold0", "A-1-fold0"]
    methods, objects = part.tables["methods"], part.tables["objects"]
    assert methods.rows == ("A",)
    column = methods.columns.index("at scale 1")
    np.testing.assert_allclose(methods.values[0, column], (37.5 + 40) / 2, err_msg="each image weighs the same")
    assert methods.values[0, methods.columns.index("runs")] == 2
    np.testing.assert_allclose(objects.values[0, objects.columns.index("AJI")], (37.5 + 40) / 2)
    assert [report.scores.images for report in part.reports] == [4, 4]

    (part,) = experiment_parts(folded(), records[:-1])
    assert [record.name for record in part.records] == ["A-0-fold0"], "a fold of seed 1 is missing"
    assert experiment_parts(folded(), records[:2]) == []


def test_images_have_one_order_whichever_fold_ran_first(folded, tmp_path):
    hits = {0: [10, 20], 1: [30], 2: [90]}
    runs = [run_of("A", seed, fold, hits[fold]) for seed, folds in ((0, (2, 0, 1)), (1, (1, 2, 0))) for fold in folds]
    (part,) = experiment_parts(folded(), archived_records(runs, tmp_path))
    assert [record.name for record in part.records] == ["A-0-fold0", "A-1-fold0"]
    column = COLUMNS.index("aji_intersection")
    assert [report.objects.counts[0, :, column].tolist() for report in part.reports] == [[10, 20, 30, 90]] * 2


def test_folds_that_were_evaluated_in_other_ways_are_not_mixed(folded, tmp_path):
    runs = [run_of("A", 0, fold, [50], scale=2.0 if fold == 1 else 1.0) for fold in range(3)]
    with pytest.raises(InputError, match=r"A-0-fold1.*: list of scales is \['2'\] where .*A-0-fold0"):
        experiment_parts(folded(), archived_records(runs, tmp_path))


def test_a_fold_without_a_scored_class_does_not_hide_the_others():
    parts = [
        ScaleScores((1.0,), ("head 1",), np.ones((1, 1, 2, 2), dtype=np.int64), np.array([[mean]]), images)
        for mean, images in ((0.2, 1), (np.nan, 5), (0.8, 2))
    ]
    joined = ScaleScores.joined(parts)
    np.testing.assert_allclose(joined.image_scores, 0.6)
    assert joined.images == 8 and np.isnan(ScaleScores.joined(parts[1:2]).image_scores).all()


@pytest.mark.slow
@pytest.mark.xdist_group("experiments")
def test_a_fold_is_trained_and_evaluated(write_experiment, run_experiment, content, elsewhere, tmp_path):
    options = {**content["options"], "epochs": 1, "val_interval": 1}
    other = {**content["evaluations"]["evaluate"], "dataset_dir": str(elsewhere), "field": 64, "equivariance": False}
    evaluations = {**content["evaluations"], "evaluate@elsewhere": other}
    trainings = {"PlainUNet": {"overlays": ["networks/plain_unet"], "folds": 2, "evaluations": evaluations}}
    file = write_experiment(options=options, trainings=trainings, claims=[])
    assert run_experiment(file, tmp_path / "out", "--only", "PlainUNet-0-fold1") == 0
    run = runs_of(tmp_path / "out")[1]["PlainUNet-0-fold1"]
    assert run.data.tags["split"].endswith("-fold1of2")
    folder = tmp_path / "out" / "two" / "PlainUNet-0-fold1"
    own, others = (ScaleReport.load(folder / job / "report.json") for job in evaluations)
    dataset = with_fold(load_dataset(content["options"]["dataset_dir"]), [1, 2])
    assert own.scores.images == len(dataset.validation) != len(load_dataset(dataset.path).validation)
    assert own.split == split_hash(dataset)
    assert others.split == split_hash(load_dataset(elsewhere)), "another data set keeps its own split"
