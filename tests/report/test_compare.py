from dataclasses import replace

import numpy as np
import pytest

from monai_seunet.cli import main
from monai_seunet.report.compare import compare_results
from monai_seunet.utils.errors import InputError


@pytest.fixture
def folders(seunet_report, plain_report, small_panels, tmp_path):
    """The folders of two evaluations, of SEUNet and of PlainUNet."""
    for report in (seunet_report, plain_report):
        report.save(tmp_path / report.method / "report.json")
        small_panels().save(tmp_path / report.method / "panels.npz")
    return [tmp_path / "SEUNet", tmp_path / "PlainUNet"]


def test_comparison_is_made_from_the_report_files_alone(folders, tmp_path):
    table = compare_results([folders[0], folders[1] / "report.json"], tmp_path / "out")
    assert table.rows == ("SEUNet", "PlainUNet")
    tables = [f"{name}.{kind}" for name in ("methods", "methods_by_scale") for kind in ("csv", "md")]
    figures = [f"methods{name}.{kind}" for name in ("", "_equivariance", "_panels") for kind in ("png", "svg")]
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == sorted(tables + figures)
    assert f"**{table.cell(0, 2)}**" in (tmp_path / "out" / "methods.md").read_text()


def test_one_fusion_can_stand_for_all_networks(seunet_report, folders, tmp_path):
    curves = {}
    for fusion in (None, "p_max", "arithmetic"):
        compare_results(folders, tmp_path / "out", fusion=fusion)
        curves[fusion] = (tmp_path / "out" / "methods_by_scale.csv").read_text().splitlines()[1:]
    assert curves[None] != curves["arithmetic"] != curves["p_max"]
    expected = 100 * seunet_report.scores.curve("p_max")
    np.testing.assert_allclose([float(x) for x in curves["p_max"][0].split(",")[1:-1]], expected, atol=0.006)
    assert curves["p_max"][1] == curves[None][1], "a network with one head has no fusion"


def test_pictures_by_another_fusion_are_left_out(seunet_report, folders, tmp_path):
    compare_results(folders, tmp_path / "other", fusion="p_max" if seunet_report.strategy != "p_max" else "p_ens")
    compare_results(folders, tmp_path / "own", fusion=seunet_report.strategy)
    assert not (tmp_path / "other" / "methods_panels.png").exists()
    assert (tmp_path / "own" / "methods_panels.png").exists()


def test_a_fusion_that_was_not_evaluated_is_refused(seunet_report, tmp_path):
    """As of evaluations by an earlier version: no head stands in for it."""
    scores = seunet_report.scores
    early = [n for n, name in enumerate(scores.predictors) if name != "p_conf"]
    values = {"confusion": scores.confusion[:, early], "image_scores": scores.image_scores[:, early]}
    old = replace(scores, predictors=tuple(scores.predictors[n] for n in early), **values)
    replace(seunet_report, scores=old).save(tmp_path / "old" / "report.json")
    message = r"report\.json: fusion 'p_conf' was not evaluated; evaluate it again, or choose"
    with pytest.raises(InputError, match=message):
        compare_results([tmp_path / "old"], tmp_path / "out", fusion="p_conf")
    with pytest.raises(InputError, match="fusion 'p_conf' was not evaluated"):
        old.final("p_conf")


def test_pictures_of_other_fields_are_not_put_side_by_side(folders, tmp_path, small_panels):
    replace(small_panels(), labels=np.zeros((2, 2, 2))).save(folders[1] / "panels.npz")
    compare_results(folders, tmp_path / "out")
    assert not (tmp_path / "out" / "methods_panels.png").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {"data": "glas"}, "data is 'glas' where .* has 'monuseg'"),
        (lambda r: {"section": "test"}, "section is 'test'"),
        (lambda r: {"region": "middle 500 pixels"}, "region is 'middle 500 pixels'"),
        (lambda r: {"scores": replace(r.scores, images=2)}, "number of images is 2 where .* has 6"),
        (lambda r: {"equivariance": replace(r.equivariance, images=1)}, "images of E_Err is 1 where"),
        (
            lambda r: {"scores": replace(r.scores, scales=tuple(2 * s for s in r.scores.scales))},
            r"list of scales is \['0.5', '0.5946'.* where",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message, folders, seunet_report, tmp_path):
    replace(seunet_report, method="other", **change(seunet_report)).save(folders[1] / "report.json")
    with pytest.raises(InputError, match=message):
        compare_results(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_to_compare(tmp_path):
    with pytest.raises(InputError, match="no evaluation to compare"):
        compare_results([], tmp_path)
    with pytest.raises(InputError, match=r"report.json: not readable"):
        compare_results([tmp_path], tmp_path / "out")


def test_the_command_prints_the_table_and_ends_in_one_line_on_a_mistake(folders, tmp_path, capsys):
    assert main(["compare", str(folders[0]), "--out", str(tmp_path / "out")]) == 0
    assert "SEUNet" in capsys.readouterr().out
    assert main(["compare", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
