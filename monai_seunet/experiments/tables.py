"""The tables of an experiment, without any picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from monai_seunet.drawing.table import Table
from monai_seunet.experiments.archive import read_archive
from monai_seunet.experiments.claims import claims_by_data_set, claims_table
from monai_seunet.experiments.plan import Experiment
from monai_seunet.experiments.records import EVALUATIONS, Evaluated, Record, archived_records
from monai_seunet.metrics import ObjectScores
from monai_seunet.report.compare import comparison_tables, read_comparable
from monai_seunet.report.scales.objects import object_methods_table
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import data_set_table, method_scale_table, scale_table
from monai_seunet.utils.files import file_name

DATA_SETS = "data_sets"  # prefix of folders, as the kinds of evaluations are


@dataclass(frozen=True)
class Part:
    """Evaluations that can be compared, or several data sets at once: one part of a report.

    Attributes:
        folder: name of the folder.
        title: title of the part.
        tables: tables by file name; the first one has a row for each method.
        records: trainings in the order of the experiment; empty for several data sets, as the next two.
        paths: report files of the trainings.
        reports: reports of the trainings, by the fusion of the experiment.
    """

    folder: str
    title: str
    tables: dict[str, Table]
    records: list[Record] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)


def experiment_parts(experiment: Experiment, records: Sequence[Record]) -> list[Part]:
    """The parts of a report: all data sets at once, then every kind of evaluation, section, data set and split.

    An evaluation belongs to the data set that it was made on, not to the data set of the training.

    Args:
        experiment: experiment that says the order, the fusion, the claims and further tables.
        records: trainings of the experiment, with their report files.
    """
    methods = list(experiment.methods)
    groups: dict[Evaluated, list[Record]] = {}
    for record in sorted(records, key=lambda r: ((*methods, r.method).index(r.method), r.tags.get("seed", ""))):
        for what in record.reports:
            groups.setdefault(what, []).append(record)
    sections = {what: _section(experiment, what, groups) for what in sorted(groups, key=lambda w: (w.kind, w.section))}
    scales = {what: part.reports for what, part in sections.items() if EVALUATIONS[what.kind] is ScaleReport}
    parts = []
    for section in dict.fromkeys(what.section for what in scales):
        several = [what for what in scales if what.section == section]
        if len({what.data for what in several}) > 1:
            reports = {", ".join(_names(what, groups)): scales[what] for what in several}
            tables = {DATA_SETS: data_set_table(reports)}
            if experiment.claims:
                tables["claims"] = claims_by_data_set(experiment.claims, reports)
            title = f"{'Both' if len(reports) == 2 else 'All'} data sets: {section}"
            parts.append(Part(file_name(f"{DATA_SETS}_{section}"), title, tables))
    return [*parts, *sections.values()]


def archived_tables(folder: Path) -> dict[str, Table]:
    """The tables of an archived experiment by `folder of the report/file name`.

    Raises:
        InputError: if the folder is no archive, or is damaged.
    """
    experiment, runs = read_archive(folder)
    with TemporaryDirectory() as files:
        parts = experiment_parts(experiment, archived_records(runs, Path(files)))
    return {f"{part.folder}/{name}": table for part in parts for name, table in part.tables.items()}


def table_name(title: str) -> str:
    """File name of a further table of the experiment."""
    return file_name("table_" + title.lower().replace(" ", "_"))


def _names(what: Evaluated, others: Iterable[Evaluated]) -> list[str]:
    """The data set of an evaluation if there are several, and the split if that data set has several."""
    alike = [other for other in others if (other.kind, other.section) == (what.kind, what.section)]
    resplit = [other for other in alike if other.data == what.data]
    names = [what.data] if len(resplit) < len(alike) else []
    return [*names, *([what.split or "unknown split"] if len(resplit) > 1 else [])]


def _section(experiment: Experiment, what: Evaluated, groups: Mapping[Evaluated, list[Record]]) -> Part:
    over_scales, records = EVALUATIONS[what.kind] is ScaleReport, groups[what]
    paths = [record.reports[what] / "report.json" for record in records]
    reports = read_comparable(paths, experiment.fusion if over_scales else None)
    tables = comparison_tables(reports)
    methods = next(iter(tables))
    tables[methods] = _with_costs(tables[methods], records)
    if over_scales:
        tables |= _scale_tables(experiment, reports)
    words = [what.section, *_names(what, groups)]
    title = f"{what.kind.capitalize()}: {', '.join(words)}"
    return Part(file_name("_".join([what.kind, *words])), title, tables, records, paths, reports)


def _with_costs(table: Table, records: Sequence[Record]) -> Table:
    """A table of methods with the cost of their trainings, and with the symmetry error if it was measured."""
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


def _scale_tables(experiment: Experiment, reports: Sequence[ScaleReport]) -> dict[str, Table]:
    """Claims, chosen methods, objects, and the scale groups of the first report of each method."""
    tables = {"claims": claims_table(experiment.claims, reports)}
    for title, methods in experiment.tables.items():
        chosen = [report for report in reports if report.method in methods]
        if chosen:
            tables[table_name(title)] = method_scale_table(chosen)
    objects: dict[str, list[ObjectScores]] = {}
    for report in reports:
        if report.objects is not None and not np.isnan(report.objects.curve("aji")).all():
            objects.setdefault(report.method, []).append(report.objects)
    if objects:
        tables["objects"] = object_methods_table(objects)
    for report in reports:
        if len(report.scores.heads) > 1:
            tables.setdefault(heads_name(report.method), scale_table(report))
    return {name: table for name, table in tables.items() if table.rows}


def heads_name(method: str) -> str:
    """File name of the table of the scale groups of a method."""
    return file_name(f"heads_{method}")
