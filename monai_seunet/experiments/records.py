"""Trainings of an experiment for its report, read from MLflow or from an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run

from monai_seunet.experiments.archive_file import ArchivedRun, Point
from monai_seunet.experiments.tracking import children
from monai_seunet.metrics.confusion import nan_mean
from monai_seunet.report.evaluation_report import EvaluationReport
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.tracking.split import without_fold
from monai_seunet.utils.files import file_name
from monai_seunet.utils.progress import progress_bar

EVALUATIONS: dict[str, type[EvaluationReport]] = {"evaluation": ScaleReport, "rotation": RotationReport}
CERTIFICATE = "certificate"
METRICS = ("loss", "step_seconds", "step_cpu_seconds", "certificate/rotation.max_relative_error_float64")
WANTED = ("report.json", "panels.npz", "filters.png")


class Evaluated(NamedTuple):
    """Kind and data of an evaluation; evaluations with the same values can be compared.

    Attributes:
        kind: one of `EVALUATIONS`.
        section: section of the data set.
        data: name of the data set.
        split: hash of the split into sections, the same for all folds of a cross-validation; empty if it is not known.
    """

    kind: str
    section: str
    data: str
    split: str


class Record(NamedTuple):
    """One training of an experiment with its evaluations.

    Attributes:
        name: name of the run.
        tags: tags of the run.
        steps: number of training steps.
        step_seconds: processor seconds of one training step; NaN if they are not known.
        minutes: minutes of all training steps, without validation and pauses.
        state: `finished`, `running`, `failed` or `killed`.
        reports: folders of the evaluations, those on its own data set first.
        symmetry_error: largest relative error of the logits in float64 under the symmetry group of the network, or
            under all quarter turns and mirrors if it has none; NaN if it was not measured.
        certificate: folder of the certificate, which can be missing.
    """

    name: str
    tags: Mapping[str, str]
    steps: int
    step_seconds: float
    minutes: float
    state: str
    reports: dict[Evaluated, Path]
    symmetry_error: float
    certificate: Path

    @property
    def method(self) -> str:
        """Name of the method in tables and figures."""
        return self.tags.get("network", "")


def read_records(client: MlflowClient, parent: Run, folder: Path) -> list[Record]:
    """Download the trainings of an experiment, whose run is `parent`, from MLflow into a folder."""
    records = []
    for run in progress_bar(children(client, parent), desc="runs", unit="run"):
        name, run_id = str(run.info.run_name), run.info.run_id
        own = folder / file_name(name)
        for path in artifacts(client, run_id):
            download(client, run_id, path, own)
        points = [point for metric in METRICS for point in history(client, run_id, metric)]
        records.append(_record(name, run.info.status.lower(), run.data.tags, points, own))
    return records


def archived_records(runs: Sequence[ArchivedRun], folder: Path) -> list[Record]:
    """Return the trainings of an archive, whose files are written into a folder."""
    for run in runs:
        run.write_files(folder / run.name)
    return [_record(run.name, "finished", run.tags, run.points, folder / run.name) for run in runs]


def history(client: MlflowClient, run_id: str, metric: str) -> list[Point]:
    """Return the points of one metric of a run, the latest last."""
    points = client.get_metric_history(run_id, metric)
    return sorted(Point(metric, point.step, point.timestamp, point.value) for point in points)


def artifacts(client: MlflowClient, run_id: str) -> Iterator[str]:
    """Yield the paths of the configs, the certificate and the evaluations of a run."""
    sections = [section.path for kind in EVALUATIONS for section in client.list_artifacts(run_id, kind)]
    for folder in ("config", CERTIFICATE, *sections):
        files = {Path(file.path).name: file.path for file in client.list_artifacts(run_id, folder)}
        if folder not in sections:
            yield from files.values()
        elif "report.json" in files:  # an evaluation without it is not finished
            yield from (files[name] for name in WANTED if name in files)


def download(client: MlflowClient, run_id: str, path: str, folder: Path) -> Path:
    """Download one artifact of a run to the same path in a folder."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    return Path(client.download_artifacts(run_id, path, str((folder / path).parent)))


def _record(name: str, state: str, tags: Mapping[str, str], points: Sequence[Point], folder: Path) -> Record:
    """Return a training from the values of MLflow or of an archive; its files are in the folder."""
    loss, seconds, cpu_seconds, error = ([point for point in points if point.metric == metric] for metric in METRICS)
    steps = max((point.step for point in loss), default=0)
    return Record(
        name=name,
        tags=tags,
        steps=steps,
        step_seconds=_mean(cpu_seconds),
        minutes=steps * _mean(seconds) / 60,
        state=state,
        reports=_reports(tags, folder),
        symmetry_error=error[-1].value if error else float("nan"),
        certificate=folder / CERTIFICATE,
    )


def _mean(points: Sequence[Point]) -> float:
    return float(nan_mean(np.array([point.value for point in points])))


def _reports(tags: Mapping[str, str], folder: Path) -> dict[Evaluated, Path]:
    """Return the folders of the evaluations of a run, those on its own data set first."""
    own = tags.get("data", ""), without_fold(tags.get("split", ""))
    reports = {}
    for kind in EVALUATIONS:
        for path in sorted(folder.glob(f"{kind}/*/report.json")):
            report = EVALUATIONS[kind].load(path)
            split = report.split or (own[1] if report.data == own[0] else "")  # missing in reports of earlier versions
            reports[Evaluated(kind, report.section or kind, report.data, without_fold(split))] = path.parent
    return dict(sorted(reports.items(), key=lambda pair: (pair[0].data, pair[0].split) != own))
