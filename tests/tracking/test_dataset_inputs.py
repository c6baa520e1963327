"""Data sets as inputs of MLflow runs."""

import json
import shutil

import mlflow
import pytest

from monai_seunet.data.datalist import load_dataset
from monai_seunet.tracking.inputs import log_dataset, section_digest


@pytest.fixture
def client(empty_store, tmp_path):
    return mlflow.MlflowClient(f"sqlite:///{shutil.copy(empty_store, tmp_path)}")


@pytest.fixture
def prepared(tmp_path):
    """Make a data set of one-file items."""

    def make(name, training="ab", validation="c"):
        folder = tmp_path / name
        folder.mkdir()
        for letter in training + validation:
            (folder / f"{letter}.png").write_bytes(letter.encode())
        items = [[{"image": f"{n}.png", "label": f"{n}.png"} for n in names] for names in (training, validation)]
        content = {"name": name, "classes": ["a", "b"], "label_kind": "classes", "training": items[0]}
        (folder / "dataset.json").write_text(json.dumps({**content, "validation": items[1], "licence": "CC0"}))
        return load_dataset(folder)

    return make


def inputs(client, run):
    """(name, context, images) of the inputs of a run."""
    found = client.get_run(run.info.run_id).inputs.dataset_inputs
    return sorted((i.dataset.name, i.tags[0].value, json.loads(i.dataset.profile)["images"]) for i in found)


def test_sections_are_inputs_once_however_often_they_are_logged(client, prepared, tmp_path):
    dataset, run = prepared("tissue"), client.create_run("0")
    for _ in range(2):
        log_dataset(client, run.info.run_id, dataset, ("training", "validation", "test"))
        assert inputs(client, run) == [("tissue", "training", 2), ("tissue", "validation", 1)]
    log_dataset(client, run.info.run_id, dataset, ["validation"])
    assert len(inputs(client, run)) == 2
    first = client.get_run(run.info.run_id).inputs.dataset_inputs[0]
    assert first.tags[0].key == "mlflow.data.context"
    assert mlflow.data.get_source(first.dataset).load() == str(tmp_path / "tissue" / "dataset.json")
    (tmp_path / "tissue" / "a.png").write_bytes(b"longer")
    log_dataset(client, run.info.run_id, dataset, ("training", "validation"))
    assert [context for _, context, _ in inputs(client, run)] == ["training", "training", "validation"]


def test_every_part_of_a_joined_data_set_is_an_input(client, prepared, tmp_path):
    prepared("first"), prepared("second", validation="")
    joined, run = load_dataset([tmp_path / "first", tmp_path / "second"]), client.create_run("0")
    log_dataset(client, run.info.run_id, joined, ("training", "validation"))
    assert inputs(client, run) == [("first", "training", 2), ("first", "validation", 1), ("second", "training", 2)]


def test_the_digest_is_that_of_the_files_wherever_they_lie(prepared, tmp_path):
    here = prepared("here")
    (tmp_path / "moved").mkdir()
    there = load_dataset(shutil.copytree(tmp_path / "here", tmp_path / "moved" / "here"))
    digests = {section_digest(here, section) for section in ("training", "validation")}
    assert {section_digest(there, section) for section in ("training", "validation")} == digests
    assert len(digests) == 2 and not {section_digest(prepared("other", "ad"), "training")} & digests
