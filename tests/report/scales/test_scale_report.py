import json
from dataclasses import replace

import numpy as np
import pytest

from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write, write_text


def test_report_survives_its_file(seunet_report, plain_report, tmp_path):
    for report in (seunet_report, plain_report):
        again = ScaleReport.load(report.save(tmp_path / "new" / "report.json"))
        np.testing.assert_array_equal(again.scores.confusion, report.scores.confusion)
        assert again.equivariance is not None and report.equivariance is not None
        np.testing.assert_array_equal(again.equivariance.matrices, report.equivariance.matrices)
        assert again.to_dict() == report.to_dict()


def test_a_report_of_before_the_split_was_told_can_be_read(seunet_report, tmp_path):
    path = replace(seunet_report, split="0123abcd").save(tmp_path / "report.json")
    assert ScaleReport.load(path).split == "0123abcd"
    content = json.loads(path.read_text())
    del content["split"]
    path.write_text(json.dumps(content))
    assert ScaleReport.load(path).split == ""


def test_final_predictor_is_the_strategy_or_the_only_head(seunet_report, plain_report):
    assert (seunet_report.final, plain_report.final) == ("p_ens", "head 1")
    assert seunet_report.score_name == "IoU of nucleus"


def test_long_table_has_every_class_of_every_predictor_at_every_scale(seunet_report):
    rows = list(seunet_report.rows())
    assert len(rows) == 17 * 11 * 2
    nucleus = [row for row in rows if row["class"] == "nucleus"]
    assert all(row["iou"] == row["score"] for row in nucleus)
    assert all(float(row["dice"]) > float(row["iou"]) for row in nucleus)


def test_files_that_are_no_report_are_refused(seunet_report, tmp_path):
    path = seunet_report.save(tmp_path / "report.json")
    text = path.read_text()
    for content, message in (
        (text[:100], "not readable as JSON"),
        ("[]", "not a scale report"),
        (json.dumps({"format": "something else"}), "not a scale report"),
        (json.dumps({**json.loads(text), "scores": {}}), "a damaged scale report"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            ScaleReport.load(path)
    with pytest.raises(InputError, match=r"nowhere.json: not readable"):
        ScaleReport.load(tmp_path / "nowhere.json")


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = write_text(tmp_path / "table.md", "old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("table.md", "old")]
