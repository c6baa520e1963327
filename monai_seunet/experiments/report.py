"""The report of an experiment: tables, figures and one page, from MLflow's records alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mlflow import MlflowClient
from PIL import Image

from monai_seunet.drawing.html import data_uri, facts_table, figure, numbers_table, page
from monai_seunet.drawing.style import strategy_label
from monai_seunet.drawing.table import Table, long_csv
from monai_seunet.experiments.claims import claims_by_data_set, claims_table
from monai_seunet.experiments.plan import Experiment
from monai_seunet.experiments.records import EVALUATIONS, Evaluated, Record, read_records
from monai_seunet.experiments.tracking import find_parent, known_experiment
from monai_seunet.metrics import ObjectScores
from monai_seunet.report.compare import by_fusion, compare_results
from monai_seunet.report.scales.objects import object_methods_table
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import data_set_table, method_scale_table, scale_table
from monai_seunet.tracking.client import replace_artifacts
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import file_name, write_text

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
DATA_SETS = "data_sets"  # prefix of folders, as the kinds of evaluations are
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
        parts = _sections(experiment, records, out)
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
        "<details><summary>Commands of the bundle</summary>",
        facts_table("", {record.name: record.command for record in records}),
        "</details>",
    ]
    path = write_text(out / PAGE, page(experiment.title, blocks))
    replace_artifacts(client, parent, "report", [*parts, path, out / "trainings.csv"])
    return path


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


def _sections(experiment: Experiment, records: Sequence[Record], out: Path) -> dict[Path, str]:
    """A part of the page, and its folder, for all data sets, and for every kind of evaluation, section, data and split.

    Every evaluation is in the part of the data set that it was of, whatever its network was trained on.
    """
    groups: dict[Evaluated, list[Record]] = {}
    for record in sorted(records, key=_place(experiment)):
        for what in record.reports:
            groups.setdefault(what, []).append(record)
    ordered = sorted(groups, key=lambda what: (what.kind, what.section))
    parts = {}
    with TemporaryDirectory(dir=out, prefix=".report") as new:
        for section in dict.fromkeys(what.section for what in ordered if EVALUATIONS[what.kind] is ScaleReport):
            several = [w for w in ordered if w.section == section and EVALUATIONS[w.kind] is ScaleReport]
            if len({what.data for what in several}) > 1:
                folder = file_name(f"{DATA_SETS}_{section}")
                found = {
                    ", ".join(_names(what, groups)): _scale_reports(experiment, groups[what], what) for what in several
                }
                parts[out / folder] = _data_sets(experiment, found, section, Path(new) / folder)
        for what in ordered:
            names = [what.section, *_names(what, groups)]
            folder = file_name("_".join([what.kind, *names]))
            title = f"{what.kind.capitalize()}: {', '.join(names)}"
            parts[out / folder] = _section(experiment, groups[what], what, title, Path(new) / folder)
        for table in (path for kind in (*EVALUATIONS, DATA_SETS) for t in TABLES for path in out.glob(f"{kind}_*/{t}")):
            shutil.rmtree(table.parent)  # of an earlier report, which may have had what this one has not
        for place in parts:
            (Path(new) / place.name).rename(place)
    return parts


def _names(what: Evaluated, known: Iterable[Evaluated]) -> list[str]:
    """The data set of an evaluation where there are several, and the split where that data set has several."""
    alike = [other for other in known if (other.kind, other.section) == (what.kind, what.section)]
    resplit = [other for other in alike if other.data == what.data]
    names = [what.data] if len(resplit) < len(alike) else []
    return [*names, *([what.split or "unknown split"] if len(resplit) > 1 else [])]


def _scale_reports(experiment: Experiment, records: Sequence[Record], what: Evaluated) -> list[ScaleReport]:
    paths = [record.reports[what] / "report.json" for record in records]
    return by_fusion(paths, list(map(ScaleReport.load, paths)), experiment.fusion)


def _fusion(experiment: Experiment) -> str:
    """By what the networks are compared."""
    return strategy_label(experiment.fusion) if experiment.fusion else "the fusion that each network is configured with"


def _data_sets(experiment: Experiment, reports: dict[str, list[ScaleReport]], section: str, out: Path) -> str:
    """What can be seen of all data sets at once: the methods, and the claims."""
    title = f"{'Both' if len(reports) == 2 else 'All'} data sets: {section}"
    parts = [
        _titled(title, data_set_table(reports), out / DATA_SETS),
        f'<p class="lead">By {_fusion(experiment)}: the mean over the scales, the score at '
        f"scale 1, and the range. {RANGE} Bold: the best of every column.</p>",
    ]
    if experiment.claims:
        parts.append(_titled("Claims", claims_by_data_set(experiment.claims, reports), out / "claims"))
        parts.append('<p class="lead">In points of percent. Bold: the claim holds on this data set.</p>')
    return f"<section>{''.join(parts)}</section>"


def _section(experiment: Experiment, found: Sequence[Record], what: Evaluated, title: str, out: Path) -> str:
    """Tables and figures of evaluations that can be compared."""
    files = [record.reports[what] / "report.json" for record in found]
    scales = EVALUATIONS[what.kind] is ScaleReport
    fusion = experiment.fusion if scales else None
    table = compare_results(files, out, lambda methods: _with_costs(methods, found), fusion)
    parts = [f"<h2>{escape(title)}</h2>", numbers_table(table), _reading(experiment, files[0]) if scales else ""]
    parts += _scale_tables(experiment, _scale_reports(experiment, found, what), out) if scales else []
    parts += [_picture(out / name) for name in TITLES if (out / name).exists()]
    first: dict[str, Record] = {}  # seed of each method
    for record in found:
        first.setdefault(record.method, record)
    parts += [_details(record, what, out, scales) for record in first.values()]
    return f"<section>{''.join(parts)}</section>"


def _reading(experiment: Experiment, file: Path) -> str:
    """How the table of methods is to be read."""
    report = ScaleReport.load(file)
    return (
        f'<p class="lead">The mean of {len(report.scores.scales)} scales by each fusion of the scale groups; all other '
        f"scores and the claims are by {_fusion(experiment)}; pictures are by that of each network. {RANGE} E_Err: by "
        "how much the answers to an image and to the zoomed image differ, between the scale groups that match best; "
        "lower is better. Bold: the best mean, and the best of the other columns.</p>"
    )


def _with_costs(table: Table, records: Sequence[Record]) -> Table:
    """A table of methods with what their trainings cost, and the symmetry of the trained network where it is known."""
    columns: tuple[tuple[str, Callable[[Record], float], int], ...] = (
        ("steps", lambda record: record.steps, 0),
        ("CPU s a step", lambda record: record.step_seconds, 2),
        ("symmetry error", lambda record: record.symmetry_error, 2),
    )
    for name, value, digits in columns:
        means = {
            method: float(np.mean([value(record) for record in records if record.method == method]))
            for method in table.rows
        }
        if np.isfinite(list(means.values())).any():
            table = table.with_column(name, means, digits)
    return table


def _scale_tables(experiment: Experiment, reports: Sequence[ScaleReport], out: Path) -> list[str]:
    """Claims, chosen methods, and methods by scale."""
    claims = claims_table(experiment.claims, reports)
    parts = [_titled("Claims", claims, out / "claims")] if claims.rows else []
    for title, methods in experiment.tables.items():
        chosen = [report for report in reports if report.method in methods]
        if chosen:
            name = file_name("table_" + title.lower().replace(" ", "_"))
            parts.append(_titled(title, method_scale_table(chosen), out / name))
    objects: dict[str, list[ObjectScores]] = {}
    for report in reports:
        if report.objects is not None and not np.isnan(report.objects.curve("aji")).all():
            objects.setdefault(report.method, []).append(report.objects)
    if objects:
        parts.append(_titled("Single objects", object_methods_table(objects), out / "objects"))
        parts.append('<p class="lead">At scale 1, and at the worst scale from half to twice of it.</p>')
    return [*parts, _titled("Methods by scale", method_scale_table(reports), None)]


def _details(record: Record, what: Evaluated, out: Path, scales: bool) -> str:
    """What was found of one network alone; closed at first."""
    folder, parts = record.reports[what], []
    if scales:
        report = ScaleReport.load(folder / "report.json")
        if len(report.scores.heads) > 1:
            parts.append(
                _titled("Scale groups and their fusion", scale_table(report), out / file_name(f"heads_{record.method}"))
            )
    parts += [_picture(folder / name) for name in TITLES if (folder / name).exists()]
    parts += [] if record.certificate is None else [_picture(record.certificate)]
    return f"<details><summary>{escape(record.name)}</summary>{''.join(parts)}</details>" if parts else ""


def _titled(title: str, table: Table, path: Path | None) -> str:
    if path is not None:
        write_text(path.with_name(f"{path.name}.md"), table.to_markdown())
        write_text(path.with_name(f"{path.name}.csv"), table.to_csv())
    return f"<h2>{escape(title)}</h2>{numbers_table(table)}"


def _picture(path: Path) -> str:
    with Image.open(path) as picture:
        large = picture.width > LARGE
        return figure(TITLES[path.name], data_uri(np.array(picture.convert("RGB")), False), large=large)


def _place(experiment: Experiment) -> Callable[[Record], tuple[int, str]]:
    """Key that sorts trainings as the experiment names them; strangers last."""
    methods = list(experiment.methods)
    return lambda record: (methods.index(record.method) if record.method in methods else len(methods), record.seed)


def _rows_table(rows: Sequence[dict[str, str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row.values()) + "</tr>" for row in rows)
    return f'<div class="wide"><table class="figures"><tr>{head}</tr>{lines}</table></div>'
