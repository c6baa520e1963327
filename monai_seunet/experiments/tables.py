"""Tables of an experiment, which need no figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from monai_seunet.drawing.table import Table
from monai_seunet.experiments.archive import read_archive
from monai_seunet.experiments.claims import claims_by_data_set, claims_table
from monai_seunet.experiments.plan import Experiment
from monai_seunet.experiments.records import EVALUATIONS, Evaluated, Record, archived_records
from monai_seunet.metrics import ObjectScores
from monai_seunet.report.compare import check_comparable, comparison_tables, read_reports, with_fusion
from monai_seunet.report.scales.objects import object_methods_table
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import data_set_table, method_scale_table, scale_table
from monai_seunet.tracking.split import folds_of
from monai_seunet.utils.files import file_name

# Conditions of reports that differ between the folds of a cross-validation, which have other images.
OF_IMAGES = ("number of images", "number of images of E_Err", "list of images", "object_truth")

DATA_SETS = "data_sets"  # prefix of folders, like the kinds of evaluations

COSTS = {"steps": 0, "CPU s a step": 2, "symmetry error": 2}  # columns, and their digits after the point


class Part(NamedTuple):
    """Part of a report: a comparison of several data sets, or of evaluations on one data set.

    Attributes:
        folder: name of the folder.
        title: heading of the part.
        tables: tables by file name; the first one has a row for each method.
        records: trainings in the order of the experiment; empty for several data sets.
        paths: report file of each training.
        reports: report of each training, by the fusion of the experiment.
    """

    folder: str
    title: str
    tables: dict[str, Table]
    records: Sequence[Record] = ()
    paths: Sequence[Path] = ()
    reports: Sequence[Any] = ()


def experiment_parts(experiment: Experiment, records: Sequence[Record]) -> list[Part]:
    """Return the parts of a report: comparisons of data sets, then every kind of evaluation, section, data and split.

    An evaluation belongs to the data set of its images, which can differ from the data set of the training.

    Args:
        experiment: experiment with the order of methods, the fusion, the claims and further tables.
        records: trainings of the experiment.
    """
    methods = list(experiment.methods)
    groups: dict[Evaluated, list[Record]] = {}
    for record in sorted(records, key=lambda r: ((*methods, r.method).index(r.method), r.tags.get("seed", ""))):
        for what in record.reports:
            groups.setdefault(what, []).append(record)
    ordered = sorted(groups, key=lambda what: (what.kind, what.section))
    sections = {what: part for what in ordered if (part := _section(experiment, what, groups)) is not None}
    scales = {what: part.reports for what, part in sections.items() if EVALUATIONS[what.kind] is ScaleReport}
    parts = []
    for section in dict.fromkeys(what.section for what in scales):
        several = [what for what in scales if what.section == section]
        if len({what.data for what in several}) > 1:
            reports = {", ".join(_names(what, sections)): scales[what] for what in several}
            tables = {DATA_SETS: data_set_table(reports)}
            if experiment.claims:
                tables["claims"] = claims_by_data_set(experiment.claims, reports)
            title = f"{'Both' if len(reports) == 2 else 'All'} data sets: {section}"
            parts.append(Part(file_name(f"{DATA_SETS}_{section}"), title, tables))
    return [*parts, *sections.values()]


def archived_tables(folder: Path) -> dict[str, Table]:
    """Return the tables of an archived experiment by `folder of the report/file name`.

    Raises:
        InputError: the folder is no archive or damaged.
    """
    experiment, runs = read_archive(folder)
    with TemporaryDirectory() as files:
        parts = experiment_parts(experiment, archived_records(runs, Path(files)))
    return {f"{part.folder}/{name}": table for part in parts for name, table in part.tables.items()}


def table_name(title: str) -> str:
    """Return the file name of a further table of the experiment."""
    return file_name("table_" + title.lower().replace(" ", "_"))


def _names(what: Evaluated, others: Iterable[Evaluated]) -> list[str]:
    """Return the data set of an evaluation if there are several, and the split if the data set has several."""
    same_section = [other for other in others if (other.kind, other.section) == (what.kind, what.section)]
    same_data = [other for other in same_section if other.data == what.data]
    names = [what.data] if len(same_data) < len(same_section) else []
    return [*names, *([what.split or "unknown split"] if len(same_data) > 1 else [])]


def _section(experiment: Experiment, what: Evaluated, groups: Mapping[Evaluated, list[Record]]) -> Part | None:
    """Return the part of one kind of evaluation, section, data and split; None while every method lacks a fold."""
    over_scales = EVALUATIONS[what.kind] is ScaleReport
    records, reports = _join_folds(groups[what], what)
    if not reports:
        return None
    paths = [_file(record, what) for record in records]
    check_comparable(paths, reports)
    if over_scales and experiment.fusion is not None:
        reports = with_fusion(paths, reports, experiment.fusion)
    tables = comparison_tables(reports)
    methods = next(iter(tables))
    tables[methods] = _with_costs(tables[methods], groups[what])
    if over_scales:
        tables |= _scale_tables(experiment, reports)
    words = [what.section, *_names(what, groups)]
    title = f"{what.kind.capitalize()}: {', '.join(words)}"
    return Part(file_name("_".join([what.kind, *words])), title, tables, records, paths, reports)


def _file(record: Record, what: Evaluated) -> Path:
    return record.reports[what] / "report.json"


def _join_folds(records: Sequence[Record], what: Evaluated) -> tuple[list[Record], list[Any]]:
    """Join the reports of all folds of a cross-validation; each method and seed has the record of its first fold.

    Folds are left out where some of them are not evaluated yet.
    """
    groups: dict[tuple[str, ...], list[tuple[Record, Any]]] = {}
    for record, report in zip(records, read_reports([_file(record, what) for record in records]), strict=True):
        single = folds_of(report.split) == 1
        key = (record.name,) if single else (record.method, record.tags.get("seed", ""))
        groups.setdefault(key, []).append((record, report))
    complete = [pairs for pairs in groups.values() if len(pairs) == folds_of(pairs[0][1].split)]
    for pairs in complete:
        pairs.sort(key=lambda pair: pair[1].split)  # all methods have their images in one order
        check_comparable([_file(record, what) for record, _ in pairs], [report for _, report in pairs], OF_IMAGES)
    joined = [type(pairs[0][1]).joined([report for _, report in pairs]) for pairs in complete]
    return [pairs[0][0] for pairs in complete], joined


def _with_costs(table: Table, records: Sequence[Record]) -> Table:
    """Return a table of methods with the cost of their trainings, and with the symmetry error if it was measured."""
    values = [[record.steps, record.step_seconds, record.symmetry_error] for record in records]
    runs = pd.DataFrame(values, [record.method for record in records], list(COSTS))
    means = runs.groupby(level=0).mean().dropna(axis=1, how="all")
    for name in means:
        table = table.with_column(name, means[name].to_dict(), COSTS[name])
    return table


def _scale_tables(experiment: Experiment, reports: Sequence[ScaleReport]) -> dict[str, Table]:
    """Return tables of claims, chosen methods, objects, and of the scale groups of each method's first report."""
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
    """Return the file name of the table of the scale groups of a method."""
    return file_name(f"heads_{method}")
