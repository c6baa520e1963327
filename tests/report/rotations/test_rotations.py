"""Rotation reports of known numbers: files, tables, figures and comparisons."""

import csv
import dataclasses
import io

import numpy as np
import pytest

from monai_seunet.cli import main
from monai_seunet.drawing.table import long_csv
from monai_seunet.metrics import RotationScores
from monai_seunet.metrics.f1_difference import POSES
from monai_seunet.metrics.scale_scores import predictor_names
from monai_seunet.report.compare import compare_results
from monai_seunet.report.files import save_figure
from monai_seunet.report.rotations import figures
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.rotations.tables import rotation_method_table, rotation_table
from monai_seunet.utils.errors import InputError

IMAGES = 10


def build(method: str = "SEUNet", heads: int = 3, spread: int = 40, mirror: bool = False) -> RotationReport:
    """Pixel counts that vary by up to `spread` hits of 1000 between the poses, and objects alike."""
    rng = np.random.default_rng(0)
    poses, predictors = POSES if mirror else POSES[:4], predictor_names(heads)
    counts = np.zeros((IMAGES, len(poses), len(predictors), 1, 9))
    counts[..., 0] = counts[..., 3] = 700
    counts[:, 1:, ..., 0] -= rng.integers(0, spread + 1, counts[:, 1:, ..., 0].shape)
    counts[:, 1:, ..., 3] += rng.integers(0, spread // 10 + 1, counts[:, 1:, ..., 3].shape)
    for hits, false, missed in ((0, 1, 2), (3, 4, 5)):
        counts[..., false] = counts[..., missed] = 1000 - counts[..., hits]
    counts[..., 6], counts[..., 7], counts[..., 8] = 0.8 * counts[..., 3], 600, 1000
    return RotationReport(
        method=method,
        scores=RotationScores(poses, predictors, counts, ("instances",) * IMAGES, 0.5, 10),
        images=tuple(f"images/{i}.png" for i in range(IMAGES)),
        classes=("background", "nucleus"),
        data="monuseg",
        section="validation",
        region="sides cropped to multiples of 16",
    )


def test_a_report_survives_its_file_and_says_its_rule(tmp_path):
    report = build(mirror=True)
    again = RotationReport.load(report.save(tmp_path / "report.json"))
    assert dataclasses.replace(again, scores=report.scores) == report
    np.testing.assert_array_equal(again.scores.counts, report.scores.counts)
    assert again.rule == "IoU above 0.5, areas below 10 pixels left out, true objects: instances"
    mixed = dataclasses.replace(report.scores, object_truth=("instances", *["components"] * 9))
    assert dataclasses.replace(report, scores=mixed).object_truth == "components (9), instances (1)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ('{"format": "monai_seunet scale report 2"}', "not a rotation report"),
        ('{"format": "monai_seunet rotation report 1"}', "a damaged rotation report"),
    ],
)
def test_what_is_no_report_is_refused(text, message, tmp_path):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match=message):
        RotationReport.load(tmp_path / "report.json")


def test_tables_have_the_means_of_the_rows_of_the_csv():
    report = build(heads=1)
    rows = [row for row in csv.DictReader(io.StringIO(long_csv(report.rows()))) if row["predictor"] == "head 1"]
    assert len(rows) == 4 * IMAGES and rows[0]["f1_difference.pixel"] == ""
    turned = [row for row in rows if row["pose"] != "0"]
    differences = {level: [float(row[f"f1_difference.{level}"]) for row in turned] for level in ("pixel", "object")}
    assert all(value >= 0 for value in differences["pixel"]) and min(differences["object"]) < 0
    table = rotation_table(report)
    values = dict(zip(table.columns, table.values[0], strict=True))
    for level, found in differences.items():
        assert values[f"{level} change"] == pytest.approx(np.mean(np.abs(found)), abs=1e-8)
        assert values[f"{level} unchanged (%)"] == pytest.approx(100 * np.mean(np.array(found) == 0))
        assert values[f"{level} F1"] == pytest.approx(0.7)
    assert (values["AJI"], values["PQ"]) == (pytest.approx(0.6), pytest.approx(0.56))


def test_the_least_difference_is_marked_and_repetitions_are_averaged():
    reports = [build("A", spread=40), build("A", spread=80), build("B", spread=0)]
    table = rotation_method_table(reports)
    place = table.columns.index("pixel change")
    assert table.rows == ("A", "B") and table.best[:, place].tolist() == [False, True]
    each = [report.scores.summary("p_ens")["f1_difference.pixel"] for report in reports]
    assert table.values[:, place] == pytest.approx([np.mean(each[:2]), 0])
    assert table.values[1, table.columns.index("pixel unchanged (%)")] == 100


def test_figures_have_a_box_for_every_group(tmp_path):
    report = build(mirror=True)
    groups = figures.turn_groups(report)
    assert [group.name for group in groups[:4]] == ["90°", "180°", "270°", "mirror"]
    assert [group.name for group in figures.predictor_groups(report)][2:4] == ["Head 3", "Arithmetic"]
    assert [group.name for group in figures.predictor_groups(build("PlainUNet", heads=1))] == ["PlainUNet"]
    methods = figures.method_groups([build("A"), build("A"), build("B", spread=0)])
    assert [group.differences["pixel"].size for group in methods] == [2 * 3 * IMAGES, 3 * IMAGES]
    assert methods[1].zeros("object") == 1
    drawn = [figures.draw_signed(groups, "title", "note " * 60), figures.draw_absolute(methods)]
    for number, figure in enumerate(drawn):
        pixels = all(len(axes.patches) >= 2 for axes in figure.axes)
        assert pixels and save_figure(figure, tmp_path / f"{number}.png", dpi=40).stat().st_size > 0


def test_networks_are_compared_from_their_files(tmp_path, capsys):
    folders = []
    for method, spread in (("SEUNet", 40), ("RotoScaleUNet", 0)):
        build(method, spread=spread).save(tmp_path / method / "report.json")
        folders.append(str(tmp_path / method))
    assert main(["compare", *folders, "--out", str(tmp_path / "out")]) == 0
    assert "object unchanged (%)" in capsys.readouterr().out
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {f"rotations{name}" for name in (".csv", ".md", ".png", ".svg", "_signed.png", "_signed.svg")}
    assert "| RotoScaleUNet |" in (tmp_path / "out" / "rotations.md").read_text()


def other_scores(report: RotationReport, **changes: object) -> RotationReport:
    return dataclasses.replace(report, scores=dataclasses.replace(report.scores, **changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: dataclasses.replace(r, data="dsb2018"), "data is 'dsb2018' where"),
        (lambda r: dataclasses.replace(r, section="test"), "section is 'test'"),
        (lambda r: dataclasses.replace(r, region=""), "region is ''"),
        (lambda r: dataclasses.replace(r, precision="float64"), "precision is 'float64'"),
        (lambda r: dataclasses.replace(r, images=tuple(reversed(r.images))), "list of images is .*9.png.* where"),
        (lambda r: other_scores(r, iou_threshold=0.7), "iou_threshold is 0.7"),
        (lambda r: other_scores(r, min_area=0), "evaluate both with the same min_area"),
        (lambda r: other_scores(r, object_truth=("components",) * IMAGES), "object_truth is"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message, tmp_path):
    build().save(tmp_path / "a.json")
    change(build("other")).save(tmp_path / "b.json")
    with pytest.raises(InputError, match=message):
        compare_results([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reports_of_two_kinds_are_not_mixed(seunet_report, tmp_path):
    build().save(tmp_path / "turned.json")
    seunet_report.save(tmp_path / "scaled.json")
    with pytest.raises(InputError, match=r"scaled.json: 'monai_seunet scale report 2' where .*turned.json is"):
        compare_results([tmp_path / "turned.json", tmp_path / "scaled.json"], tmp_path / "out")
