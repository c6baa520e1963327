"""Whether an experiment shows what it was to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from monai_seunet.drawing.table import Table
from monai_seunet.experiments.plan import Claim, RangeClaim
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import curve_summary, mean_curves

_COLUMNS = ("measured", "standard error", "claimed", "seeds", "seeds of the other")


def claims_table(claims: Sequence[Claim | RangeClaim], reports: Sequence[ScaleReport]) -> Table:
    """Measured values beside the claimed ones, in points of percent; a claim that holds is marked.

    Measured are differences of mean scores over the scales, by the fusion that stands for each network, and ranges of
    scores over the scales, of the mean curve of the seeds. The standard error of a difference comes from the spread
    between seeds; it is empty if a method has a single seed, and for ranges.

    Args:
        claims: claims of the experiment; those about methods without a report are left out.
        reports: evaluations that can be compared, one for each seed.
    """
    scores = [100 * report.scores.mean(report.final) for report in reports]
    seeds = pd.Series(scores, [report.method for report in reports]).groupby(level=0).agg(["mean", "sem", "size"])
    ranges = curve_summary(mean_curves(reports))["range"]
    known = [claim for claim in claims if set(claim.methods) <= set(seeds.index)]
    rows = []
    for claim in known:
        ours = seeds.loc[list(claim.methods)]
        if isinstance(claim, RangeClaim):
            measured, error = float(ranges[claim.method]), np.nan
        else:
            measured, error = float(-np.diff(ours["mean"])[0]), float(np.linalg.norm(ours["sem"]))
        rows.append([measured, error, _bound(claim), *ours["size"], np.nan][: len(_COLUMNS)])
    frame = pd.DataFrame(rows, list(map(_label, known)), _COLUMNS, float)
    holds = [_holds(claim, measured) for claim, measured in zip(known, frame["measured"], strict=True)]
    return Table("claim", frame, pd.DataFrame({"measured": holds}), dict.fromkeys(_COLUMNS[3:], 0))


def claims_by_data_set(claims: Sequence[Claim | RangeClaim], reports: Mapping[str, Sequence[ScaleReport]]) -> Table:
    """The measured value of every claim on every data set; it is marked if the claim holds.

    Args:
        claims: claims of the experiment.
        reports: evaluations that can be compared, by the name of the data set; a method without one has empty cells.
    """
    tables = [[claims_table([claim], part) for part in reports.values()] for claim in claims]
    values = [[table.values[0, 0] if table.rows else np.nan for table in row] for row in tables]
    holds = [[bool(table.rows) and table.best[0, 0] for table in row] for row in tables]
    frame = pd.DataFrame(values, list(map(_label, claims)), list(reports)).assign(claimed=list(map(_bound, claims)))
    return Table("claim", frame, pd.DataFrame(holds, columns=list(reports)))


def _bound(claim: Claim | RangeClaim) -> float:
    return claim.range if isinstance(claim, RangeClaim) else claim.points


def _holds(claim: Claim | RangeClaim, measured: float) -> bool:
    return measured <= claim.range if isinstance(claim, RangeClaim) else measured >= claim.points


def _label(claim: Claim | RangeClaim) -> str:
    return f"range of {claim.method} (at most)" if isinstance(claim, RangeClaim) else f"{claim.better} - {claim.than}"
