"""What a training leaves in MLflow."""

import json
import shutil
import sys
from pathlib import Path

import mlflow
import pytest
from monai.engines import Evaluator

from monai_seunet.data.datalist import load_dataset
from monai_seunet.handlers import ClosingValidationHandler, ScaleStateHandler
from monai_seunet.tracking import RunTrackingHandler, split_hash
from monai_seunet.utils.errors import InputError


class Scoring(Evaluator):
    """Scores 0.1 in epoch 1, 0.2 in epoch 2, ..."""

    def __init__(self):
        super().__init__(device="cpu", val_data_loader=[0], epoch_length=1)
        self._process_function = lambda engine, batch: None

        @self.on("EPOCH_COMPLETED")
        def score(engine):
            engine.state.metrics["val_iou"] = engine.state.epoch / 10


@pytest.fixture
def uri(empty_store, tmp_path):
    shutil.copy(empty_store, tmp_path)
    return f"sqlite:///{tmp_path / 'mlruns.db'}"


@pytest.fixture
def images(tmp_path):
    """A prepared data set with one image for training and one for validation."""
    (tmp_path / "noise").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "noise" / name).touch()
    items = {"training": [{"image": "a.png", "label": "a.png"}], "validation": [{"image": "b.png", "label": "b.png"}]}
    content = {"name": "noise", "classes": ["a", "b"], "label_kind": "classes", **items}
    (tmp_path / "noise" / "dataset.json").write_text(json.dumps(content))
    return load_dataset(tmp_path / "noise")


@pytest.fixture
def tracked(make_training, uri, images):
    """A training with every handler that logs; `train.json` attaches them in this order."""

    def make(run_name=None, tracking_uri=uri, **options):
        evaluator = Scoring()
        validation = ClosingValidationHandler(2, evaluator)
        training = make_training(handlers=(validation,), **options)
        ScaleStateHandler(training.network, training.loss).attach(training.trainer)
        tags = {"network": "TwoHeads", "data": "noise", "seed": 0, "split": "abc"}
        tracker = RunTrackingHandler(tracking_uri, "tests", tags, {"width": 4}, evaluator, run_name, dataset=images)
        tracker.attach(training.trainer)
        return training

    return make


@pytest.fixture
def runs(uri):
    client = mlflow.MlflowClient(uri)
    return lambda: (client, client.search_runs([client.get_experiment_by_name("tests").experiment_id]))


def points(client, run, name):
    return {point.step: point.value for point in client.get_metric_history(run.info.run_id, name)}


def test_a_run_holds_what_it_takes_to_find_and_review_it(tracked, runs, tmp_path, monkeypatch):
    config = tmp_path / "train.json"
    config.write_text("{}")
    monkeypatch.setattr(sys, "argv", ["monai.bundle", "run", "--config_file", f"['{config}','absent.json']"])
    training = tracked(epochs=3).run()
    client, (run,) = runs()
    assert run.info.run_name == "TwoHeads-noise-0" and run.info.status == "FINISHED"
    assert {"network": "TwoHeads", "data": "noise", "seed": "0", "split": "abc"}.items() <= run.data.tags.items()
    assert len(run.data.tags["mlflow.source.git.commit"]) == 40
    assert run.data.tags["mlflow.source.type"] == "LOCAL", "else MLflow's pages leave the commit out"
    assert run.data.params["width"] == "4" and run.data.params["max_epochs"] == "3"
    assert points(client, run, "loss") == pytest.approx(training.losses)
    of_step = {1: 0.05 / 25, **{step + 1: rate for step, rate in training.rates.items()}}  # a schedule moves at its end
    del of_step[max(of_step)]
    assert points(client, run, "learning_rate") == pytest.approx(of_step)
    assert points(client, run, "val_iou") == pytest.approx({2: 0.2, 3: 0.3})
    eta = points(client, run, "eta/group1")
    assert list(eta) == [1, 2, 3] and eta[3] == pytest.approx(training.loss.weights()[0].item())
    kept = {item.path for item in client.list_artifacts(run.info.run_id, "config")}
    assert kept == {"config/command.txt", "config/train.json"}


@pytest.mark.parametrize("saved", [True, False])
def test_a_resumed_training_continues_its_run_without_doubled_points(tracked, runs, tmp_path, saved):
    killed = tracked(epochs=3)
    state = tmp_path / "last.pt"
    after_epochs = []

    @killed.trainer.on("ITERATION_STARTED")
    def kill(engine):
        if engine.state.iteration in (4, 7):
            after_epochs.append(state.read_bytes())
        if engine.state.iteration == 8:
            engine.terminate(skip_completed=True)  # leaves the run open, as a signal does

    killed.run()
    state.write_bytes(after_epochs[1 if saved else 0])  # killed between the writing of the values and of the state
    resumed = tracked(epochs=3, resume=True).run()
    client, (run,) = runs()
    assert run.info.status == "FINISHED"
    assert sorted(entry.tags[0].value for entry in run.inputs.dataset_inputs) == ["training", "validation"]
    for name, steps in (("loss", list(range(1, 10))), ("val_iou", [2, 3])):
        assert [point.step for point in client.get_metric_history(run.info.run_id, name)] == steps
    assert sorted(resumed.losses) == list(range(7 if saved else 4, 10))
    assert points(client, run, "loss") == pytest.approx({**killed.losses, **resumed.losses})


def test_two_trainings_are_two_runs(tracked, runs):
    for name in ("first", "second", "second"):
        tracked(epochs=1, run_name=name).run()
    _, found = runs()
    assert sorted(run.info.run_name for run in found) == ["first", "second", "second"]


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_an_error_ends_the_run_and_gets_through(tracked, runs, error, status):
    training = tracked(epochs=2)

    @training.trainer.on("ITERATION_STARTED")
    def fail(engine):
        if engine.state.iteration == 5:
            raise error

    with pytest.raises(error):
        training.run()
    client, (run,) = runs()
    assert run.info.status == status
    assert list(points(client, run, "loss")) == [1, 2, 3]  # the epoch that a resumed run would not repeat


@pytest.mark.parametrize("wrong", ["mlruns", "file:///tmp/mlruns", "nonsense://server"])
def test_a_tracking_uri_that_mlflow_does_not_take_is_named(tracked, wrong):
    with pytest.raises(InputError, match="tracking_uri '") as caught:
        tracked(tracking_uri=wrong).run()
    assert wrong in str(caught.value) and "\n" not in str(caught.value)


def test_the_split_has_one_hash_wherever_the_data_lie(tmp_path: Path):
    def prepared(folder, training, validation):
        (tmp_path / folder).mkdir()
        for name in "abc":
            (tmp_path / folder / f"{name}.png").touch()
        items = [[{"image": f"{n}.png", "label": f"{n}.png"} for n in names] for names in (training, validation)]
        content = {"name": "x", "classes": ["a", "b"], "label_kind": "classes", "training": items[0]}
        (tmp_path / folder / "dataset.json").write_text(json.dumps({**content, "validation": items[1]}))
        return split_hash(load_dataset(tmp_path / folder))

    assert prepared("here", "ab", "c") == prepared("there", "ab", "c")
    assert prepared("other", "ac", "b") != prepared("again", "ab", "c")
