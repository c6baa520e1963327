"""One training of an experiment: bundle runs, and a folder with the state of the training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from monai_seunet.config.command_line import command_word
from monai_seunet.config.read import content, read_config
from monai_seunet.config.texts import write_setting
from monai_seunet.data.datalist import load_dataset
from monai_seunet.data.split import with_fold
from monai_seunet.experiments.plan import Training, overlay_of
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import locked, write_text

# With these settings the process keeps freed memory. Otherwise a CPU spends much of a training step on page faults.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967295",
    "MALLOC_TOP_PAD_": "67108864",
}
STATE, CERTIFICATE = "training.json", "certificate"


@dataclass(frozen=True)
class Place:
    """Folders and store of all trainings of an experiment.

    Attributes:
        bundle: folder of the bundle with `configs/`.
        output: folder of the experiment, with a folder for each training.
        tracking_uri: address of MLflow's store.
        experiment: name of the experiment in MLflow.
        parent_run: id of the parent run of the trainings.
        cwd: working folder of the command, for relative paths in configs.
        processes: number of processes of each training by torchrun; 1 runs without torchrun.
        lock: descriptor of the lock on a training's folder; None outside of a training.
    """

    bundle: Path
    output: Path
    tracking_uri: str
    experiment: str
    parent_run: str
    cwd: Path
    processes: int = 1
    lock: int | None = None


def run_training(training: Training, place: Place) -> None:
    """Train a network or resume its training, and evaluate it; finished jobs are not repeated.

    Raises:
        InputError: the folder was made with another plan or is in use, or a run fails.
    """
    folder = place.output / training.name
    with locked(folder) as lock:
        place = replace(place, lock=lock)  # child processes hold the lock, because they survive this process
        state = read_state(folder)
        _refuse_another_plan(training, folder, state)
        for job, options in _jobs(training).items():
            if state["done"].get(job) == options:
                continue
            write_text(folder / STATE, json.dumps({**state, "plan": training.plan()}, indent=1) + "\n")
            if job == "train":
                resume = (folder / "models" / "last.pt").exists()
                _run(training, place, job, {**_fold(training, {}), "seed": training.seed, "resume": resume})
            elif job == CERTIFICATE:
                _certify(training, place, options)
            else:
                _run(training, place, job, {**_fold(training, options), **options, "report_dir": str(folder / job)})
            state = {"plan": training.plan(), "done": {**state["done"], job: options}}
            write_text(folder / STATE, json.dumps(state, indent=1) + "\n")  # only after MLflow has the results


def check_dataset(training: Training, bundle: Path) -> None:
    """Check the data sets of a training and its evaluations, which would fail only hours later.

    Raises:
        InputError: a data set is missing, is damaged or lacks the section; or two evaluations with the same overlay
            have data sets of the same name, so one would replace the other in MLflow.
    """
    with_fold(load_dataset(_dataset(training, bundle, "train")), training.fold)
    checked: dict[tuple[str, str, str], str] = {}
    for job, options in training.evaluations.items():
        overlay, settings = overlay_of(job), {**training.options, **options}
        config = read_config(bundle, training.network, overlays=[*_other_overlays(training), overlay], job="train")
        config["section"] = config.get("section", "validation")  # train.json alone evaluates the validation images
        path, section = (settings.get(key) or content(config, key) for key in ("dataset_dir", "section"))
        dataset = with_fold(load_dataset(path), _fold(training, options).get("fold"))
        dataset.items(section)
        former = checked.setdefault((overlay, dataset.name, section), job)
        if former != job:
            raise InputError(
                f"{training.method}: '{former}' and '{job}' both evaluate {section} of a data set named "
                f"'{dataset.name}'; prepare one by another name, or leave one evaluation out"
            )


def is_done(training: Training, output: Path) -> bool:
    """Return whether all jobs of a training are done."""
    state = read_state(output / training.name)
    jobs = _jobs(training)
    return state["plan"] == training.plan() and all(state["done"].get(job) == jobs[job] for job in jobs)


def _jobs(training: Training) -> dict[str, Mapping[str, Any]]:
    """Return the options of all jobs of a training by name, in the order of the jobs."""
    jobs = {"train": {}, **training.evaluations}
    return jobs if training.certificate is None else {**jobs, CERTIFICATE: training.certificate}


def read_state(folder: Path) -> dict[str, Any]:
    """Read the plan of a training, and its finished jobs."""
    path = folder / STATE
    if not path.exists():
        return {"plan": None, "done": {}}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {"plan": dict(state["plan"]), "done": dict(state["done"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error!r}); remove the folder, or give another output folder") from error


def _refuse_another_plan(training: Training, folder: Path, state: Mapping[str, Any]) -> None:
    earlier, plan = state["plan"], training.plan()
    changed = [] if earlier is None else [key for key in plan if earlier.get(key) != plan[key]]
    if changed:
        raise InputError(
            f"{folder}: was trained with {changed[0]} {earlier.get(changed[0])}, now it is {plan[changed[0]]}; give "
            "another output folder, or remove this one"
        )


def _fold(training: Training, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fold as an option; an evaluation on another data set has none."""
    return {} if training.fold is None or "dataset_dir" in options else {"fold": list(training.fold)}


def _run(training: Training, place: Place, job: str, settings: Mapping[str, Any]) -> None:
    """Run the bundle once."""
    folder, configs = place.output / training.name, place.bundle / "configs"
    distributed = place.processes > 1 and job == "train"
    last = ["multi_gpu_train"] if distributed else [overlay_of(job)] if job != "train" else []
    files = [str(configs / f"{name}.json") for name in ("train", *training.overlays, *last)]
    values = {
        "bundle_root": place.bundle,
        "ckpt_dir": folder / "models",
        "output_dir": folder,
        "tracking_uri": place.tracking_uri,
        "experiment": place.experiment,
        "run_name": training.name,
        "method": training.method,
        f"tags#{MLFLOW_PARENT_RUN_ID}": place.parent_run,
        "threads": training.threads,
        **training.options,
        **settings,
    }
    words = [command_word(key, value) for key, value in values.items()]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={place.processes}"]
    start = [sys.executable, *(torchrun if distributed else [])]
    _call(training, place, job, [*start, "-m", "monai.bundle", "run", "--config_file", str(files), *words])


def _certify(training: Training, place: Place, options: Mapping[str, Any]) -> None:
    """Run `monai-seunet certify` with the trained weights."""
    folder = place.output / training.name
    network, others = training.network, _other_overlays(training)
    config = read_config(place.bundle, network, overlays=others)
    ids = [name for name in training.options if name.partition("#")[0] in config and name != "dataset_dir"]
    data = _dataset(training, place.bundle, "inference")
    values = {"data": data if isinstance(data, str) else data[0], **options}
    command = [sys.executable, "-m", "monai_seunet.cli", "certify", "--bundle", str(place.bundle), "--network", network]
    command += [f"--overlay={name}" for name in others]
    command += [f"--set={write_setting(name, training.options[name])}" for name in ids]
    command += ["--checkpoint", str(folder / "models" / "model.pt"), "--output", str(folder / CERTIFICATE)]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    _call(training, place, CERTIFICATE, [*command, "--tracking-uri", place.tracking_uri])


def _other_overlays(training: Training) -> list[str]:
    return [name for name in training.overlays if not name.startswith("networks/")]


def _dataset(training: Training, bundle: Path, job: str) -> Any:
    """Return the folder or folders of the data set: from the options, else from the configs."""
    config = read_config(bundle, training.network, overlays=_other_overlays(training), job=job)
    return training.options.get("dataset_dir") or content(config, "dataset_dir")


def _call(training: Training, place: Place, job: str, command: list[str]) -> None:
    """Run a program, and write its output to a log file.

    Raises:
        InputError: the program fails; the message has the last line of its output.
    """
    log = place.output / training.name / f"{job}.log"
    environment = {**ALLOCATOR, **os.environ, "OMP_NUM_THREADS": str(training.threads)}
    locks = () if place.lock is None else (place.lock,)
    with log.open("a") as file:
        streams: dict[str, Any] = {"stdout": file, "stderr": subprocess.STDOUT}
        process = subprocess.run(command, env=environment, cwd=place.cwd, pass_fds=locks, **streams)
    if process.returncode:
        lines = [line for line in log.read_text(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
        raise InputError(f"{training.name}: {job} failed ({lines[-1] if lines else 'no word'}); see {log}")
