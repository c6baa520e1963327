"""The report of an experiment: tables, figures and one page, from MLflow's records alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mlflow import MlflowClient
from PIL import Image

from monai_seunet.drawing.html import data_uri, facts_table, figure, numbers_table, page
from monai_seunet.drawing.style import strategy_label
from monai_seunet.drawing.table import Table, long_csv
from monai_seunet.experiments.plan import Experiment
from monai_seunet.experiments.records import EVALUATIONS, Record, read_records
from monai_seunet.experiments.tables import (
    DATA_SETS,
    Part,
    Section,
    chosen_methods_name,
    experiment_parts,
    heads_name,
)
from monai_seunet.experiments.tracking import find_parent, known_experiment
from monai_seunet.report.compare import write_comparison, write_tables
from monai_seunet.report.files import save_figure
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
    "certificate.png": "Certificate",
}
PAGE = "report.html"
TABLES = ("methods.csv", "rotations.csv", f"{DATA_SETS}.csv")  # one of them is in every folder of a report
RANGE = (
    "The range is the largest less the smallest score over the scales, in points, of the mean curve of the runs; a low "
    "one means that the score depends little on the magnification."
)
LARGE = 1400  # pixels of a picture that needs the width of the page


def write_experiment_report(client: MlflowClient, name: str, out: Path) -> Path:
    """Write the report of an experiment and log it to its run.

    A folder for every kind of evaluation, section and data set holds tables (Markdown and CSV) and figures (PNG and
    SVG), another one the table of several data sets; `trainings.csv` lists the runs, and the page shows all of them.

    Args:
        client: of the tracking server.
        name: of the experiment.
        out: folder to write to.

    Returns:
        The page.

    Raises:
        InputError: where the experiment has no run, or none of its trainings has been evaluated.
    """
    parent = find_parent(client, name)
    if parent is None:
        raise InputError(f"experiment '{name}' is not at {client.tracking_uri}; run it, or give its --tracking-uri")
    experiment = known_experiment(client, parent, out)
    with TemporaryDirectory() as folder:
        records = read_records(client, parent, Path(folder))
        parts = _write_parts(experiment, experiment_parts(experiment, records), out)
        if not parts:
            raise InputError(
                f"experiment '{name}' has no finished evaluation at {client.tracking_uri}; run it to the end"
            )
    rows = list(map(_row, records))
    write_text(out / "trainings.csv", long_csv(rows))
    blocks = [
        f"<h1>{escape(experiment.title)}</h1>",
        f'<p class="lead">{escape(experiment.about)}</p>',
        _progress(experiment, records),
        *parts.values(),
        "<section><h2>Trainings</h2>" + _rows_table(rows) + "</section>",
        f"<p>To repeat one: <code>monai-seunet experiment {escape(name)} --only RUN --output DIR</code>.</p>",
        *_commands({record.name: record.command for record in records if record.command}),
    ]
    path = write_text(out / PAGE, page(experiment.title, blocks))
    replace_artifacts(client, parent, "report", [*parts, path, out / "trainings.csv"])
    return path


def _commands(commands: Mapping[str, str]) -> list[str]:
    """The command line of every training that has one; closed at first."""
    head = "<details><summary>Commands of the bundle</summary>"
    return [head, facts_table("", commands), "</details>"] if commands else []


def _row(record: Record) -> dict[str, str]:
    return {
        "run": record.name,
        "method": record.method,
        "seed": record.seed,
        "data": record.data,
        "split": record.split,
        "steps": str(record.steps),
        "minutes": "" if np.isnan(record.minutes) else f"{record.minutes:.1f}",
        "CPU seconds a step": "" if np.isnan(record.step_seconds) else f"{record.step_seconds:.3f}",
        "commit": record.commit[:8],
        "state": record.state,
    }


def _progress(experiment: Experiment, records: Sequence[Record]) -> str:
    done = {record.name: len(record.reports) for record in records}
    left = [
        training.name for training in experiment.trainings if done.get(training.name, 0) < len(training.evaluations)
    ]
    if not left:
        return ""
    names = ", ".join(map(escape, left))
    return f'<div class="warnings"><h2>Not all evaluations are there</h2><p>{len(left)} to come: {names}</p></div>'


def _write_parts(experiment: Experiment, parts: Sequence[Part], out: Path) -> dict[Path, str]:
    """Write the folder of every part, in the place of those of an earlier report; and its piece of the page."""
    pieces = {}
    with TemporaryDirectory(dir=out, prefix=".report") as new:
        for part in parts:
            folder = Path(new) / part.folder
            if isinstance(part, Section):
                write_comparison(part.paths, part.reports, part.tables, folder)
                pieces[out / part.folder] = _section(experiment, part, folder)
            else:
                write_tables(part.tables, folder)
                pieces[out / part.folder] = _data_sets(experiment, part)
        for table in (path for kind in (*EVALUATIONS, DATA_SETS) for t in TABLES for path in out.glob(f"{kind}_*/{t}")):
            shutil.rmtree(table.parent)  # an earlier report may have files that this one has not
        for place in pieces:
            (Path(new) / place.name).rename(place)
    return pieces


def _fusion(experiment: Experiment) -> str:
    """The fusion by which the networks are compared, in words."""
    return strategy_label(experiment.fusion) if experiment.fusion else "the fusion that each network is configured with"


def _data_sets(experiment: Experiment, part: Part) -> str:
    """The methods and the claims on all data sets at once."""
    pieces = [
        _titled(part.title, part.tables[DATA_SETS]),
        f'<p class="lead">By {_fusion(experiment)}: the mean over the scales, the score at '
        f"scale 1, and the range. {RANGE} Bold: the best of every column.</p>",
    ]
    if "claims" in part.tables:
        pieces.append(_titled("Claims", part.tables["claims"]))
        pieces.append('<p class="lead">In points of percent. Bold: the claim holds on this data set.</p>')
    return f"<section>{''.join(pieces)}</section>"


def _section(experiment: Experiment, section: Section, out: Path) -> str:
    """Tables and figures of evaluations that can be compared."""
    tables = section.tables
    pieces = [f"<h2>{escape(section.title)}</h2>", numbers_table(next(iter(tables.values())))]
    if section.over_scales:
        pieces.append(_reading(experiment, section.reports[0]))
        titles = {"claims": "Claims"} | {chosen_methods_name(title): title for title in experiment.tables}
        pieces += [_titled(title, tables[name]) for name, title in titles.items() if name in tables]
        if "objects" in tables:
            pieces.append(_titled("Single objects", tables["objects"]))
            pieces.append('<p class="lead">At scale 1, and at the worst scale from half to twice of it.</p>')
        pieces.append(_titled("Methods by scale", tables["methods_by_scale"]))
    pieces += [_picture(out / name) for name in TITLES if (out / name).exists()]
    first: dict[str, Record] = {}  # seed of each method
    for record in section.records:
        first.setdefault(record.method, record)
    pieces += [_details(record, section) for record in first.values()]
    return f"<section>{''.join(pieces)}</section>"


def _reading(experiment: Experiment, report: ScaleReport) -> str:
    """How the table of methods is to be read."""
    return (
        f'<p class="lead">The mean of {len(report.scores.scales)} scales by each fusion of the scale groups; all other '
        f"scores and the claims are by {_fusion(experiment)}; pictures are by that of each network. {RANGE} E_Err: by "
        "how much the answers to an image and to the zoomed image differ, between the scale groups that match best; "
        "lower is better. Bold: the best mean, and the best of the other columns.</p>"
    )


def _details(record: Record, section: Section) -> str:
    """The results of one network alone; closed at first."""
    folder, pieces = record.reports[section.what], []
    heads = section.tables.get(heads_name(record.method))
    if heads is not None:
        pieces.append(_titled("Scale groups and their fusion", heads))
    if section.over_scales:
        for name, network_figure in network_figures(ScaleReport.load(folder / "report.json")):
            save_figure(network_figure, folder / name)
    pieces += [_picture(folder / name) for name in TITLES if (folder / name).exists()]
    pieces += [] if record.certificate is None else [_picture(record.certificate)]
    return f"<details><summary>{escape(record.name)}</summary>{''.join(pieces)}</details>" if pieces else ""


def _titled(title: str, table: Table) -> str:
    return f"<h2>{escape(title)}</h2>{numbers_table(table)}"


def _picture(path: Path) -> str:
    with Image.open(path) as picture:
        large = picture.width > LARGE
        return figure(TITLES[path.name], data_uri(np.array(picture.convert("RGB")), False), large=large)


def _rows_table(rows: Sequence[dict[str, str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row.values()) + "</tr>" for row in rows)
    return f'<div class="wide"><table class="figures"><tr>{head}</tr>{lines}</table></div>'
