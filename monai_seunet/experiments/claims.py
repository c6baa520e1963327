"""Whether an experiment shows what it was to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monai_seunet.drawing.table import Table
from monai_seunet.experiments.plan import Claim, RangeClaim
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import mean_curve, score_range


def claims_table(claims: Sequence[Claim | RangeClaim], reports: Sequence[ScaleReport]) -> Table:
    """What was measured beside what was claimed, in points of percent; a claim that holds is marked.

    Measured are differences of mean scores over the scales, by the fusion that stands for each network, and
    ranges of scores over the scales, of the mean curve of the seeds. The standard error of a difference comes from the
    spread between seeds; it stays empty where a method has a single seed, and for ranges.

    Args:
        claims: of the experiment; those about methods without a report are left out.
        reports: of evaluations that can be compared, one per seed.
    """
    methods: dict[str, list[ScaleReport]] = {}
    for report in reports:
        methods.setdefault(report.method, []).append(report)
    known = [claim for claim in claims if methods.keys() >= set(claim.methods)]
    columns = ("measured", "standard error", "claimed", "seeds", "seeds of the other")
    shape = (len(known), len(columns))
    values, best = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for place, claim in enumerate(known):
        found = [methods[method] for method in claim.methods]
        if isinstance(claim, RangeClaim):
            measured, error = score_range(mean_curve(found[0])), np.nan
            best[place, 0] = measured <= claim.range
        else:
            measured, error = _difference(*found)
            best[place, 0] = measured >= claim.points
        values[place, :3] = measured, error, _bound(claim)
        values[place, 3 : 3 + len(found)] = list(map(len, found))
    rows = tuple(map(_label, known))
    return Table("claim", rows, columns, values, best, digits={name: 0 for name in columns[3:]})


def claims_by_data_set(claims: Sequence[Claim | RangeClaim], reports: Mapping[str, Sequence[ScaleReport]]) -> Table:
    """What was measured of every claim on every data set; it is marked where the claim holds.

    Args:
        claims: of the experiment.
        reports: of evaluations that can be compared, by the name of the data set; empty cells where a method has none.
    """
    shape = (len(claims), len(reports) + 1)
    values, best = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for row, claim in enumerate(claims):
        values[row, -1] = _bound(claim)
        for column, found in enumerate(reports.values()):
            table = claims_table([claim], found)
            if table.rows:
                values[row, column], best[row, column] = table.values[0, 0], table.best[0, 0]
    return Table("claim", tuple(map(_label, claims)), (*reports, "claimed"), values, best)


def _difference(ours: Sequence[ScaleReport], theirs: Sequence[ScaleReport]) -> tuple[float, float]:
    """Difference of the mean scores over the scales, and its standard error, in points of percent."""
    scores = [np.array([100 * report.scores.mean(report.final) for report in part]) for part in (ours, theirs)]
    several = all(len(part) > 1 for part in scores)
    error = np.sqrt(sum(np.var(part, ddof=1) / len(part) for part in scores)) if several else np.nan
    return float(scores[0].mean() - scores[1].mean()), float(error)


def _bound(claim: Claim | RangeClaim) -> float:
    return claim.range if isinstance(claim, RangeClaim) else claim.points


def _label(claim: Claim | RangeClaim) -> str:
    return f"range of {claim.method} (at most)" if isinstance(claim, RangeClaim) else f"{claim.better} - {claim.than}"
