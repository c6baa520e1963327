"""The tables of an experiment, without any picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
    """One part of a report, with a folder of its own.

    Attributes:
        folder: name of the folder.
        title: title of the part.
        tables: tables by file name; the first one has a row for each method.
    """

    folder: str
    title: str
    tables: dict[str, Table]


@dataclass(frozen=True)
class Section(Part):
    """The part of evaluations that can be compared.

    Attributes:
        what: kind and data of the evaluations.
        records: their trainings, in the order of the experiment.
        paths: their report files.
        reports: their reports, by the fusion of the experiment.
    """

    what: Evaluated
    records: list[Record]
    paths: list[Path]
    reports: list[Any]

    @property
    def over_scales(self) -> bool:
        """Whether the evaluations are over scales."""
        return EVALUATIONS[self.what.kind] is ScaleReport


def experiment_parts(experiment: Experiment, records: Sequence[Record]) -> list[Part]:
    """The parts of a report: all data sets at once, then every kind of evaluation, section, data set and split.

    An evaluation belongs to the data set that it was made on, not to the data set of the training.

    Args:
        experiment: experiment that says the order, the fusion, the claims and further tables.
        records: trainings of the experiment, with their report files.
    """
    methods = list(experiment.methods)
    groups: dict[Evaluated, list[Record]] = {}
    for record in sorted(records, key=lambda r: ((*methods, r.method).index(r.method), r.seed)):
        for what in record.reports:
            groups.setdefault(what, []).append(record)
    ordered = sorted(groups, key=lambda what: (what.kind, what.section))
    sections = [_section(experiment, what, _names(what, groups), groups[what]) for what in ordered]
    over_scales = [section for section in sections if section.over_scales]
    parts: list[Part] = []
    for name in dict.fromkeys(section.what.section for section in over_scales):
        several = [section for section in over_scales if section.what.section == name]
        if len({section.what.data for section in several}) > 1:
            reports = {", ".join(_names(section.what, groups)): section.reports for section in several}
            tables = {DATA_SETS: data_set_table(reports)}
            if experiment.claims:
                tables["claims"] = claims_by_data_set(experiment.claims, reports)
            title = f"{'Both' if len(reports) == 2 else 'All'} data sets: {name}"
            parts.append(Part(file_name(f"{DATA_SETS}_{name}"), title, tables))
    return [*parts, *sections]


def archived_tables(folder: Path) -> dict[str, Table]:
    """The tables of an archived experiment by `folder of the report/file name`.

    Raises:
        InputError: if the folder is no archive, or is damaged.
    """
    experiment, runs = read_archive(folder)
    with TemporaryDirectory() as files:
        parts = experiment_parts(experiment, archived_records(runs, Path(files)))
    return {f"{part.folder}/{name}": table for part in parts for name, table in part.tables.items()}


def chosen_methods_name(title: str) -> str:
    """File name of a further table of the experiment."""
    return file_name("table_" + title.lower().replace(" ", "_"))


def _names(what: Evaluated, others: Iterable[Evaluated]) -> list[str]:
    """The data set of an evaluation if there are several, and the split if that data set has several."""
    alike = [other for other in others if (other.kind, other.section) == (what.kind, what.section)]
    resplit = [other for other in alike if other.data == what.data]
    names = [what.data] if len(resplit) < len(alike) else []
    return [*names, *([what.split or "unknown split"] if len(resplit) > 1 else [])]


def _section(experiment: Experiment, what: Evaluated, names: Sequence[str], records: list[Record]) -> Section:
    over_scales = EVALUATIONS[what.kind] is ScaleReport
    paths = [record.reports[what] / "report.json" for record in records]
    reports = read_comparable(paths, experiment.fusion if over_scales else None)
    tables = comparison_tables(reports)
    methods = next(iter(tables))
    tables[methods] = _with_costs(tables[methods], records)
    if over_scales:
        tables |= _scale_tables(experiment, reports)
    words = [what.section, *names]
    folder, title = file_name("_".join([what.kind, *words])), f"{what.kind.capitalize()}: {', '.join(words)}"
    return Section(folder, title, tables, what, records, paths, reports)


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
            tables[chosen_methods_name(title)] = method_scale_table(chosen)
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
