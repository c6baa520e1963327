"""From labels to better weights: the loop that annotators are in."""

import json
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from conftest import OTHERS, TO_LABEL, detail, dice, save_png, serving, wait_until

from monai_seunet.data.split import group_of
from monai_seunet.label_app.training.training_set import hold_back
from monai_seunet.reading.raster import read_raster
from monai_seunet.writers.raster import write_raster

pytestmark = pytest.mark.slow
OPTIONS = {"max_epochs": 60, "train_batch_size": 4, "max_lr": 0.01, "crop_size": 128, "val_interval": 10}


@pytest.fixture
def study(crops, weights, tmp_path):
    """A server with six labelled crops and two others."""
    folder = tmp_path / "images"
    folder.mkdir()
    chosen = crops[2 : 2 + TO_LABEL + OTHERS]
    for crop in chosen:
        save_png(folder / f"{crop.name}.png", crop.pixels)
    with serving(folder, weights) as server:
        for crop in chosen[:TO_LABEL]:
            mask = write_raster(tmp_path / f"{crop.name}.png", crop.mask)
            assert server.client.save_label(crop.name, str(mask))["label"] == crop.name
        yield server, chosen[TO_LABEL:]


def score(server, others) -> float:
    """Mean Dice of the masks that the server answers."""
    values = []
    for crop in others:
        file, _ = server.client.infer("nuclei", crop.name, {})
        values.append(dice(read_raster(file).pixels > 0, crop.instances > 0))
    return float(np.mean(values))


def status(server) -> str:
    answer = server.get("/train/")
    return answer.json()["status"] if answer.ok else "NONE"


def test_what_is_labelled_makes_the_network_better(study):
    server, others = study
    labelled = {group_of(path.stem, None) for path in (server.folder / "labels/final").glob("*.png")}
    held_back = [name for name, section in hold_back(labelled)[0].items() if section == "validation"]
    before, first = score(server, others), (server.workspace / "bundle/models/model.pt").read_bytes()
    with ThreadPoolExecutor(4) as pool:  # a button pressed several times
        answers = list(pool.map(lambda _: server.post("/train/nuclei", json=OPTIONS), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 429, 429, 429]
    assert all(answer.ok or "Already Running" in detail(answer) for answer in answers)
    assert server.get("/info/").ok, "others are answered meanwhile"
    wait_until(lambda: status(server) not in ("SUBMITTED", "RUNNING"), 500, server.log)
    assert status(server) == "DONE", "\n".join(server.get("/train/").json()["details"])
    stats = server.get("/info/").json()["train_stats"]["nuclei"]
    assert (stats["images"], stats["held_back"], stats["used"]) == (TO_LABEL, len(held_back), True)
    assert stats["score_after"] >= stats["score_before"]
    after = score(server, others)
    print(f"Dice of the others {before:.3f} -> {after:.3f}; held back {stats}")
    assert after > before + 0.01
    (kept,) = (server.workspace / "versions").glob("before-*.pt")
    assert kept.read_bytes() == first != (server.workspace / "bundle/models/model.pt").read_bytes()
    with sqlite3.connect(server.workspace / "runs" / "mlruns.db") as database:
        names = [row[0] for row in database.execute("select name from runs")]
        assert names.count(stats["run"]) == 1
        keys = {row[0] for row in database.execute("select key from metrics")}
        assert any("loss" in key for key in keys) and any("iou" in key.lower() for key in keys)


def test_worse_weights_are_not_used(study):
    server, _ = study
    first = (server.workspace / "bundle/models/model.pt").read_bytes()
    server.client.train_start("nuclei", {**OPTIONS, "max_epochs": 1, "max_lr": 30.0, "val_interval": 1})
    wait_until(lambda: status(server) not in ("SUBMITTED", "RUNNING"), 300, server.log)
    stats = server.get("/info/").json()["train_stats"]["nuclei"]
    assert status(server) in ("DONE", "ERROR"), "a loss that is no number ends a training"
    if status(server) == "DONE":
        assert not stats["used"] and stats["score_after"] < stats["score_before"]
    assert (server.workspace / "bundle/models/model.pt").read_bytes() == first


def test_a_server_killed_while_training_leaves_labels_and_weights(study, weights):
    server, others = study
    server.client.train_start("nuclei", OPTIONS)
    wait_until(lambda: any((server.workspace / "runs").glob("train-*/models/last.pt")), 300, server.log)
    family = psutil.Process(server.process.pid).children(recursive=True)
    assert any("train" in " ".join(child.cmdline()) for child in family)
    os.kill(server.process.pid, signal.SIGKILL)
    wait_until(lambda: not any(child.is_running() and child.status() != "zombie" for child in family), 20)
    assert (server.workspace / "bundle/models/model.pt").read_bytes() == weights.read_bytes()
    with serving(server.folder, weights) as again:
        assert again.get("/datastore/").json()["completed"] == TO_LABEL
        assert score(again, others) > 0
        assert status(again) == "NONE"


def test_a_training_can_be_stopped(study):
    server, _ = study
    server.client.train_start("nuclei", OPTIONS)
    wait_until(lambda: any((server.workspace / "runs").glob("train-*/data/dataset.json")), 120, server.log)
    answer = server.client.train_stop()
    assert json.dumps(answer) and status(server) == "STOPPED"
    assert server.get("/info/").ok
