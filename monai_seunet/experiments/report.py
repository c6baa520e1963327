"""Report of an experiment from the records of MLflow: tables, figures and one page."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT
from PIL import Image

from monai_seunet.drawing.html import data_uri, render
from monai_seunet.drawing.style import strategy_label
from monai_seunet.drawing.table import Table, long_csv
from monai_seunet.experiments.records import EVALUATIONS, Record, read_records
from monai_seunet.experiments.tables import DATA_SETS, Part, experiment_parts, heads_name, table_name
from monai_seunet.experiments.tracking import fetch_experiment
from monai_seunet.report.compare import write_figures
from monai_seunet.report.files import save_figure, write_tables
from monai_seunet.report.scales.network import network_figures
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.tracking.client import replace_artifacts
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

TITLES = {
    "methods.png": "Score over the scale of the image",
    "methods_equivariance.png": "Equivariance error over the zoom",
    "methods_panels.png": "Predictions across scales",
    "rotations_signed.png": "F1 of the image minus F1 of the turned image",
    "rotations.png": "F1, and how much it changes under quarter turns",
    "sigmas.png": "Filter sizes by layer and scale group",
    "filters.png": "Filters of the first layer at every scale",
    "equivariance.png": "Equivariance error by zoom",
    "calibration.png": "Calibration: probabilities and the shares of nuclei",
    "certificate.png": "Certificate",
}
PAGE = "report.html"
TABLES = ("methods.csv", "rotations.csv", f"{DATA_SETS}.csv")  # every folder of a report contains one of them
LARGE = 1400  # width in pixels from which a picture fills the width of the page


def write_experiment_report(client: MlflowClient, name: str, out: Path) -> Path:
    """Write the report of an experiment and log it to its run.

    Each kind of evaluation, section and data set has a folder of tables (Markdown and CSV) and figures (PNG and SVG).
    Another folder has the tables of several data sets. `trainings.csv` lists the runs, and the page shows everything.

    Args:
        client: client of the tracking server.
        name: name of the experiment.
        out: folder of the report.

    Returns:
        Path of the page.

    Raises:
        InputError: the experiment has no run, or none of its trainings has been evaluated.
    """
    parent, experiment = fetch_experiment(client, name, out)
    with TemporaryDirectory() as folder, TemporaryDirectory(dir=out, prefix=".report") as new:
        records = read_records(client, parent, Path(folder))
        parts = experiment_parts(experiment, records)
        if not parts:
            raise InputError(f"experiment '{name}' has no finished evaluation at {client.tracking_uri}; complete it")
        shown = [(part, _write_part(part, Path(new) / part.folder), _networks(part)) for part in parts]
        for table in (path for kind in (*EVALUATIONS, DATA_SETS) for t in TABLES for path in out.glob(f"{kind}_*/{t}")):
            shutil.rmtree(table.parent)  # it can contain files that this report lacks
        for part in parts:
            (Path(new) / part.folder).rename(out / part.folder)
    rows = [_row(record) for record in records]
    write_text(out / "trainings.csv", long_csv(rows))
    done = {record.name: len(record.reports) for record in records}
    page = render(
        "experiments/report.jinja",
        title=experiment.title,
        experiment=experiment,
        fusion=experiment.fusion and strategy_label(experiment.fusion),
        left=[run.name for run in experiment.trainings if done.get(run.name, 0) < len(run.evaluations)],
        parts=shown,
        titles={
            "claims": "Claims",
            **{table_name(title): title for title in experiment.tables},
            "objects": "Single objects",
            "methods_by_scale": "Methods by scale",
        },
        trainings=[list(rows[0]), *(row.values() for row in rows)],
    )
    files = [*(out / part.folder for part in parts), write_text(out / PAGE, page), out / "trainings.csv"]
    replace_artifacts(client, parent, "report", files)
    return out / PAGE


def _row(record: Record) -> dict[str, str]:
    return {
        "run": record.name,
        "method": record.method,
        **{name: record.tags.get(name, "") for name in ("seed", "data", "split")},
        "steps": str(record.steps),
        "minutes": "" if np.isnan(record.minutes) else f"{record.minutes:.1f}",
        "CPU seconds a step": "" if np.isnan(record.step_seconds) else f"{record.step_seconds:.3f}",
        "commit": record.tags.get(MLFLOW_GIT_COMMIT, "")[:8],
        "state": record.state,
    }


def _write_part(part: Part, folder: Path) -> list[dict[str, Any]]:
    """Write the tables and figures of a part, and return its pictures for the page."""
    write_tables(part.tables, folder)
    if part.reports:
        write_figures(part.paths, part.reports, folder)
    return _pictures(folder)


def _networks(part: Part) -> list[tuple[str, Table | None, list[dict[str, Any]]]]:
    """Return the name, the table of scale groups and the pictures of the first run of every method."""
    first: dict[str, tuple[Record, Path]] = {}
    for record, path in zip(part.records, part.paths, strict=True):
        first.setdefault(record.method, (record, path))
    networks = []
    for record, path in first.values():
        if isinstance(part.reports[0], ScaleReport):
            for name, figure in network_figures(ScaleReport.load(path)):
                save_figure(figure, path.with_name(name))
        pictures = _pictures(path.parent) + _pictures(record.certificate)
        networks.append((record.name, part.tables.get(heads_name(record.method)), pictures))
    return networks


def _pictures(folder: Path) -> list[dict[str, Any]]:
    """Return the pictures of a folder that have a title, for the page."""
    pictures = []
    for path in (folder / name for name in TITLES if (folder / name).exists()):
        with Image.open(path) as picture:
            source = data_uri(np.array(picture.convert("RGB")), False)
            pictures.append({"title": TITLES[path.name], "source": source, "large": picture.width > LARGE})
    return pictures
