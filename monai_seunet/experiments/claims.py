"""Tables of the claims of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from monai_seunet.drawing.table import Table
from monai_seunet.experiments.plan import Claim
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import curve_summary, mean_curves

_COLUMNS = ("measured", "standard error", "claimed", "seeds", "seeds of the other")


def claims_table(claims: Sequence[Claim], reports: Sequence[ScaleReport]) -> Table:
    """Return measured and claimed values in points of percent; claims that hold are marked.

    The measured value is a difference of mean scores over the scales by the fusion of each network, or the range of the
    mean curve of the seeds. The standard error of a difference comes from the spread of the seeds. It is empty for a
    method with one seed, and for ranges.

    Args:
        claims: claims of the experiment; claims about methods without a report are left out.
        reports: evaluations that can be compared, one for each seed.
    """
    scores = [100 * report.scores.mean(report.final) for report in reports]
    seeds = pd.Series(scores, [report.method for report in reports]).groupby(level=0).agg(["mean", "sem", "size"])
    ranges = curve_summary(mean_curves(reports))["range"]
    claims = [claim for claim in claims if set(claim.methods) <= set(seeds.index)]
    rows = []
    for claim in claims:
        ours = seeds.loc[list(claim.methods)]
        if len(ours) == 2:
            measured, error = float(-np.diff(ours["mean"])[0]), float(np.linalg.norm(ours["sem"]))
        else:
            measured, error = float(ranges[claim.methods[0]]), np.nan
        rows.append([measured, error, claim.bound, *ours["size"], np.nan][: len(_COLUMNS)])
    frame = pd.DataFrame(rows, [claim.label for claim in claims], _COLUMNS, float)
    holds = [claim.holds(measured) for claim, measured in zip(claims, frame["measured"], strict=True)]
    return Table("claim", frame, pd.DataFrame({"measured": holds}), dict.fromkeys(_COLUMNS[3:], 0))


def claims_by_data_set(claims: Sequence[Claim], reports: Mapping[str, Sequence[ScaleReport]]) -> Table:
    """Return the measured value of every claim on every data set; claims that hold are marked.

    Args:
        claims: claims of the experiment.
        reports: evaluations that can be compared, by the name of the data set; a method without one has empty cells.
    """
    tables = [[claims_table([claim], part) for part in reports.values()] for claim in claims]
    values = [[table.values[0, 0] if table.rows else np.nan for table in row] for row in tables]
    holds = [[bool(table.rows) and table.best[0, 0] for table in row] for row in tables]
    frame = pd.DataFrame(values, [claim.label for claim in claims], list(reports))
    frame = frame.assign(claimed=[claim.bound for claim in claims])
    return Table("claim", frame, pd.DataFrame(holds, columns=list(reports)))
