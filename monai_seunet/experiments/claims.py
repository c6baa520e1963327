"""Whether an experiment shows what it was to show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monai_seunet.experiments.plan import Claim
from monai_seunet.experiments.records import Record
from monai_seunet.report.scale_report import ScaleReport
from monai_seunet.report.tables import Table


def claims_table(claims: Sequence[Claim], scores: dict[str, list[float]]) -> Table:
    """Measured differences of mean scores beside those that were claimed, in points of percent.

    The standard error of the difference comes from the spread between seeds; it stays empty where a method has a single
    seed. A claim that holds is marked.

    Args:
        claims: of the experiment.
        scores: means over the scales, in percent, one per seed, by method.
    """
    known = [claim for claim in claims if scores.get(claim.better) and scores.get(claim.than)]
    rows = tuple(f"{claim.better} - {claim.than}" for claim in known)
    values = []
    for claim in known:
        ours, theirs = scores[claim.better], scores[claim.than]
        both = len(ours) > 1 and len(theirs) > 1
        error = np.sqrt(sum(np.var(part, ddof=1) / len(part) for part in (ours, theirs))) if both else np.nan
        values.append([float(np.mean(ours) - np.mean(theirs)), error, claim.points, len(ours), len(theirs)])
    table = np.array(values).reshape(len(known), 5)
    best = np.zeros(table.shape, dtype=bool)
    best[:, 0] = table[:, 0] >= table[:, 2]
    columns = ("difference", "standard error", "claimed", "seeds", "seeds of the other")
    return Table("mean over the scales", rows, columns, table, best, digits={name: 0 for name in columns[3:]})


def mean_scores(records: Sequence[Record], kind: str) -> dict[str, list[float]]:
    """Mean score over the scales of every seed, by the fusion that the evaluation was told, in percent.

    Args:
        records: trainings.
        kind: of evaluation, as `evaluation/validation`.
    """
    found: dict[str, list[float]] = {}
    for record in records:
        if kind in record.reports:
            report = ScaleReport.load(record.reports[kind] / "report.json")
            found.setdefault(report.method, []).append(100 * report.scores.mean(report.final))
    return found
