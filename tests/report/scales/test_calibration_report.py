"""Tests of the table, the figure and the metrics of the calibration."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from monai_seunet.metrics import Calibration, ObjectScores
from monai_seunet.metrics.calibration.counts import BINS
from monai_seunet.metrics.objects.scores import COLUMNS
from monai_seunet.report.files import save_figure
from monai_seunet.report.scales.calibration import calibration_table, calibration_text, draw_calibration
from monai_seunet.report.scales.network import network_figures
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import method_table
from monai_seunet.tracking.evaluation import report_metrics


def constant(errors: np.ndarray, number: int = 1000) -> Calibration:
    """At each scale predictions of 0.75 whose share of true ones is lower by the error."""
    counts = np.zeros((len(errors), BINS), np.int64)
    counts[:, 11] = number
    true = np.round(counts * (0.75 - errors[:, None])).astype(np.int64)
    return Calibration(counts, true, 0.75 * counts)


def with_errors(report: ScaleReport, at_1: float = 0.05, objects: bool = False) -> ScaleReport:
    """The errors are higher by 0.1 at the last scale."""
    errors = np.full(17, at_1)
    errors[16] += 0.1
    scores = dataclasses.replace(report.scores, calibration={report.final: constant(errors)})
    counts = ObjectScores(scores.scales, np.ones((17, 6, len(COLUMNS))), constant(errors + 0.2, 10))
    return dataclasses.replace(report, scores=scores, objects=counts if objects else None)


def test_errors_of_pixels_and_objects_are_a_row_a_scale(seunet_report):
    report = with_errors(seunet_report, objects=True)
    table = calibration_table(report)
    names = [f"{what} of {name}" for name in ("pixels", "objects") for what in ("calibration error", "overconfidence")]
    assert table.columns == (*names[:2], "pixels", *names[2:], "objects")
    assert table.rows[-3:] == ("4", "mean", "all scales") and len(table.rows) == 19
    np.testing.assert_allclose(table.values[[8, 16, 17, 18], 0], [5, 15, 5 + 10 / 17, 5 + 10 / 17])
    np.testing.assert_allclose(table.values[[8, 18], 2], [1000, 17000])
    assert table.cell(8, 5) == "10" and table.cell(17, 5) == ""
    assert calibration_table(with_errors(seunet_report)).columns == (*names[:2], "pixels")
    assert calibration_text(report).startswith("pixels 5.00 at scale 1, mean 5.59; objects 2")


def test_a_network_that_finds_no_object_has_a_figure(seunet_report, tmp_path):
    report = with_errors(seunet_report, objects=True)
    empty = dataclasses.replace(report.objects, calibration=constant(np.full(17, 0.1), 0))
    figure = draw_calibration(dataclasses.replace(report, objects=empty))
    assert [line.get_label() for line in figure.axes[1].lines[1:]] == [
        "scale 1  (no objects)",
        "all scales  (no objects)",
    ]
    assert save_figure(figure, tmp_path / "calibration.png").stat().st_size > 1000


def test_curves_are_drawn_beside_the_diagonal_above_the_numbers(seunet_report, tmp_path):
    figure = draw_calibration(with_errors(seunet_report, 0.05))
    above, below = figure.axes
    assert [line.get_label() for line in above.lines[1:]] == ["scale 1  (5.0 %)", "all scales  (5.6 %)"]
    assert above.lines[1].get_xydata().tolist() == pytest.approx(np.array([[0.75, 0.7]]))
    assert [bar.get_height() for bar in below.patches] == [1000, 17000] and below.get_yscale() == "symlog"
    places = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in below.patches]
    assert all(11 / BINS < left < right < 12 / BINS for left, right in places) and places[0][1] <= places[1][0] + 1e-9
    assert len(draw_calibration(with_errors(seunet_report, objects=True)).axes) == 4
    assert Image.open(save_figure(figure, tmp_path / "calibration.png")).size[1] > 700


def test_reports_keep_it_and_others_have_none(seunet_report, tmp_path):
    report = with_errors(seunet_report, objects=True)
    path = report.save(tmp_path / "report.json")
    again = ScaleReport.load(path)
    assert again.to_dict() == report.to_dict() and list(again.calibrations()) == ["pixels", "objects"]
    assert "calibration.png" in dict(network_figures(again))
    other = dataclasses.replace(again, strategy="p_max", objects=None)
    assert other.calibrations() == {}, "the probabilities of another fusion were counted"
    assert "calibration.png" not in dict(network_figures(other))
    content = json.loads(path.read_text())  # as earlier versions wrote it
    del content["scores"]["calibration"], content["objects"]["calibration"]
    path.write_text(json.dumps(content))
    assert ScaleReport.load(path).calibrations() == {}


def test_parts_without_counts_are_joined_without_them(seunet_report):
    report, old = with_errors(seunet_report, objects=True), with_errors(seunet_report)
    joined = ScaleReport.joined([report, report])
    assert joined.calibrations()["objects"].counts[0].sum() == 20
    np.testing.assert_allclose(joined.calibrations()["pixels"].error, report.calibrations()["pixels"].error)
    assert list(ScaleReport.joined([report, old]).calibrations()) == ["pixels"]


def test_methods_have_the_error_of_their_runs_at_scale_1(seunet_report, plain_report):
    reports = [with_errors(seunet_report, 0.05), with_errors(seunet_report, 0.15), with_errors(plain_report, 0.2)]
    table = method_table(reports)
    place = table.columns.index("calibration error")
    np.testing.assert_allclose(table.values[:, place], [10, 20])
    assert table.best[:, place].tolist() == [True, False]
    assert np.isnan(method_table([reports[0], plain_report]).values[1, place])
    assert "calibration error" not in method_table([seunet_report, plain_report]).columns


def test_mlflow_gets_errors_at_scale_1_and_their_mean(seunet_report):
    points = report_metrics(with_errors(seunet_report, objects=True), "test")
    values = {name: value for name, value, _ in points}
    assert values["test/calibration_error.pixels_at_scale_1"] == pytest.approx(0.05)
    assert values["test/mean_calibration_error.pixels_over_scales"] == pytest.approx(0.05 + 0.1 / 17)
    assert 0.2 < values["test/calibration_error.objects_at_scale_1"] < 0.3
    curve = [value for name, value, _ in points if name == "test/over_scales.calibration_error.pixels"]
    assert curve == pytest.approx([0.05] * 16 + [0.15])
