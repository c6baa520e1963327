"""Trainings in processes of their own: killed, and spread over two."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios

import mlflow
import pytest
import torch
from repository import CONFIGS, ROOT
from workflows import run

from monai_seunet.networks.checkpoints import load_checkpoint

pytestmark = pytest.mark.slow


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
ENVIRONMENT.pop("MLFLOW_TRACKING_URI", None)


def command(settings, *overlays, launcher=("-m",)):
    files = json.dumps([str(CONFIGS / f"{name}.json") for name in ("train", "networks/seunet_geometric", *overlays)])
    options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return [sys.executable, *launcher, "monai.bundle", "run", "--config_file", files, *options]


def call(words):
    done = subprocess.run(words, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def curve(settings):
    client = mlflow.MlflowClient(f"sqlite:///{settings['output_dir']}/mlruns.db")
    (run,) = client.search_runs([client.get_experiment_by_name("seunet").experiment_id])
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "loss")]


def test_a_training_killed_in_mid_epoch_reaches_the_same_losses(workflow, settings, empty_store, tmp_path):
    folders = {}
    for name in ("whole", "killed"):
        (tmp_path / name / "eval").mkdir(parents=True)
        (tmp_path / name / "eval" / "mlruns.db").write_bytes(empty_store.read_bytes())
        paths = {"ckpt_dir": tmp_path / name / "models", "output_dir": tmp_path / name / "eval"}
        folders[name] = {**settings, "epochs": 4, "batch_size": 2, **{key: str(path) for key, path in paths.items()}}
    run(workflow(**folders["whole"]))

    screen, terminal = pty.openpty()  # progress bars are for people at a terminal
    termios.tcsetwinsize(terminal, (40, 200))
    process = subprocess.Popen(
        command(folders["killed"]), cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    while b"[3/4]: [4/8]" not in shown:  # the progress bar: epoch 3 of 4, iteration 4 of 8
        more = os.read(screen, 4096)
        assert more, shown[-3000:]
        shown += more
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.close(screen)
    assert load_checkpoint(tmp_path / "killed" / "models" / "last.pt")["trainer"]["epoch"] == 2
    call(command({**folders["killed"], "resume": "true"}))

    assert curve(folders["killed"]) == curve(folders["whole"]) and len(curve(folders["whole"])) == 32
    for name in ("last.pt", "model.pt"):
        one, two = (load_checkpoint(tmp_path / kind / "models" / name) for kind in ("whole", "killed"))
        one, two = one.get("network", one), two.get("network", two)
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_two_processes_train_one_network(workflow, settings, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m")
    call(command(settings, "multi_gpu_train", launcher=launcher))
    state = load_checkpoint(tmp_path / "models" / "last.pt")
    assert state["trainer"]["epoch"] == 3 and state["trainer"]["iteration"] == 6  # half of the batches each
    assert not any(key.startswith("module.") for key in (*state["network"], *state["loss"]))
    assert len(curve(settings)) == 6
    # the state is one that a single process resumes, and its weights are such as one process writes
    run(workflow(ckpt_dir=str(tmp_path / "single"), epochs=1))
    assert load_checkpoint(tmp_path / "single" / "last.pt").keys() == state.keys()
    shapes = [
        {key: value.shape for key, value in load_checkpoint(tmp_path / folder / "model.pt").items()}
        for folder in ("models", "single")
    ]
    assert shapes[0] == shapes[1]
