import csv
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

from monai_seunet.drawing.table import Table, mark_best
from monai_seunet.report.scales.tables import data_set_table, method_scale_table, method_table, scale_table


def test_best_of_a_column_is_marked_as_printed():
    frame = pd.DataFrame([[10.004, 50.0, np.nan, 1.0], [10.0, 49.99, np.nan, np.nan], [9.99, 50.1, np.nan, np.nan]])
    assert mark_best(frame).to_numpy().tolist() == [
        [True, False, False, True],
        [True, False, False, False],  # 10.004 prints as 10.00: a tie
        [False, True, False, False],
    ]


def test_table_of_heads_marks_the_best_head_and_the_best_strategy_of_every_scale(seunet_report):
    table = scale_table(seunet_report)
    fusions = ("Arithmetic", "P_Dist", "P_Ens", "P_Max", "P_Power", "P_Conf")
    assert table.rows == (*(f"Head {number}" for number in range(1, 6)), *fusions)
    assert table.columns[:3] == ("0.25", "0.3", "0.35") and table.columns[-2:] == ("4", "mean")
    marked = [int(rows.argmax()) + 1 for rows in table.best[:5].T]
    assert marked[:-1] == seunet_report.scores.best_heads()
    assert marked[0] == 1 and marked[-2] == 5
    assert (table.best[:5].sum(0) == 1).all()
    assert table.best[5:].argmax(0).tolist() == [2] * 18
    np.testing.assert_allclose(table.values[:, -1], table.values[:, :-1].mean(1))


def test_text_and_markdown_break_in_two_blocks_as_the_paper_does(seunet_report):
    table = scale_table(seunet_report)
    text = table.to_text().split("\n")
    assert text[0].split() == ["scale", *table.columns[:9]] and text[13].split() == ["scale", *table.columns[9:]]
    assert text[1].split() == ["Head", "1", *(table.cell(0, j) + "*" * int(table.best[0, j]) for j in range(9))]
    assert len({len(line) for line in text[:10]}) <= 2  # aligned: a mark in the last column is one longer
    markdown = table.to_markdown()
    assert f"| **{table.cell(0, 0)}** |" in markdown and f"| {table.cell(1, 0)} |" in markdown
    assert markdown.count("**") == 2 * table.best.sum()


def test_csv_holds_every_number_without_marks(seunet_report):
    table = scale_table(seunet_report)
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows[0] == ["scale", *table.columns]
    np.testing.assert_allclose(np.array([row[1:] for row in rows[1:]], dtype=float), table.values, atol=0.005)


def test_a_network_with_one_head_has_one_row_and_a_finer_grid_more_digits(plain_report):
    assert scale_table(plain_report).rows == ("Head 1",)
    scores = dataclasses.replace(plain_report.scores, scales=tuple(0.84 + 0.001 * k for k in range(17)))
    columns = scale_table(dataclasses.replace(plain_report, scores=scores)).columns
    assert len(set(columns)) == 18 and columns[1] == "0.841"


def test_methods_are_compared_over_their_runs(plain_report, build_report):
    runs = [build_report(seed=0), build_report(seed=1, lift=-0.1)]
    table = method_table([*runs, plain_report])
    assert table.rows == ("SEUNet", "PlainUNet")
    fusions = ("Arithmetic", "P_Dist", "P_Ens", "P_Max", "P_Power", "P_Conf")
    columns = (*fusions, "at scale 1", "range", "E_Err", "parameters (M)")
    assert table.columns == (*columns, "spread", "runs")
    assert method_table([runs[0], plain_report]).columns == columns, "nothing is repeated"
    apart = 100 * (runs[0].scores.mean("p_ens") - runs[1].scores.mean("p_ens"))
    assert table.values[0, -2:] == pytest.approx([apart / 2**0.5, 2])
    assert np.isnan(table.values[1, -2]) and table.values[1, -1] == 1
    assert table.values[0, 2] == pytest.approx(50 * sum(run.scores.mean("p_ens") for run in runs))
    assert len(set(table.values[1, :3])) == 1  # one head has nothing to fuse
    assert table.best.tolist() == [[False, False, True, *[False] * 3, True, True, True, *[False] * 3], [False] * 12]
    place = columns.index("range")
    assert table.values[0, place] < table.values[1, place], "the lowest range is marked"
    by_scale = method_scale_table([*runs, plain_report])
    assert by_scale.values[0, -1] == pytest.approx(table.values[0, 2])
    assert by_scale.best.sum(0).tolist() == [1] * 18


def test_the_range_is_of_the_mean_curve_of_the_runs(build_report):
    runs = [build_report(seed=0), build_report(seed=1, lift=-0.1)]
    curves = np.array([100 * run.scores.curve("p_ens") for run in runs])
    table = method_table(runs)
    place = table.columns.index("range")
    assert table.values[0, place] == pytest.approx(np.ptp(curves.mean(0)))
    flat = dataclasses.replace(runs[0], scores=turned(runs[0].scores))
    curves = np.array([100 * run.scores.curve("p_ens") for run in (runs[0], flat)])
    assert method_table([runs[0], flat]).values[0, place] < np.ptp(curves, 1).min(), "no mean of the ranges"


def turned(scores):
    """The same with another scale at its best."""
    return dataclasses.replace(scores, confusion=np.roll(scores.confusion, 8, axis=0))


def test_methods_are_compared_over_data_sets(seunet_report, plain_report, build_report):
    elsewhere = dataclasses.replace(build_report(seed=2, lift=-0.2), data="elsewhere", equivariance=None)
    table = data_set_table({"monuseg": [seunet_report, plain_report], "elsewhere": [elsewhere]})
    assert table.rows == ("SEUNet", "PlainUNet") and table.corner == "IoU of nucleus (%)"
    assert table.columns == tuple(
        f"{d}: {w}" for d in ("monuseg", "elsewhere") for w in ("mean", "at scale 1", "range")
    )
    methods = method_table([seunet_report, plain_report])
    places = [methods.columns.index(name) for name in ("P_Ens", "at scale 1", "range")]
    np.testing.assert_allclose(table.values[:, :3], methods.values[:, places])
    assert np.isnan(table.values[1, 3:]).all(), "it was not evaluated there"
    curve = 100 * elsewhere.scores.curve("p_ens")
    np.testing.assert_allclose(table.values[0, 3:], [curve.mean(), curve[8], np.ptp(curve)])
    assert table.values[0, 2] < table.values[1, 2] and table.best.tolist() == [[True] * 6, [False] * 6]


def test_a_number_that_does_not_exist_is_an_empty_cell():
    table = Table("row", pd.DataFrame({"x": np.nan, "y": 1.0}, ["a"]), pd.DataFrame({"y": [True]}))
    assert table.to_csv() == "row,x,y\na,,1.00\n" and table.best.tolist() == [[False, True]]


def test_a_column_is_added_and_no_number_is_shown_as_nothing():
    table = Table("row", pd.DataFrame({"x": 0.0}, ["a", "b", "c"]))
    wider = table.with_column("error", {"a": 2e-15, "b": 0.0}, 2)
    assert wider.to_csv() == "row,x,error\na,0.00,2e-15\nb,0.00,0.00\nc,0.00,\n"
    assert not wider.best.any()
