"""Many slides: what they are called, what fails, who works where."""

import errno
import os

import pytest
from dark_slides import content, draw, segmenter

from monai_seunet.slides.cohort.cases import find_cases
from monai_seunet.slides.cohort.segment import segment_all, segment_cohort
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import locked


def test_what_fails_does_not_stop_the_others(tmp_path, capsys):
    (tmp_path / "slides").mkdir()
    for name in ("a.tif", "c.tif"):
        draw(tmp_path / "slides" / name)
    (tmp_path / "slides" / "b.tif").write_bytes((tmp_path / "slides" / "a.tif").read_bytes()[:2000])
    (tmp_path / "slides" / "d.svs").touch()
    outcomes = segment_cohort(segmenter(), [tmp_path / "slides"], tmp_path / "out")
    assert [outcome.result is None for outcome in outcomes] == [False, True, False, True]
    shown = capsys.readouterr().out.splitlines()
    assert [line.partition(";")[0] for line in shown[-2:]] == ["2 of 4 images done", "2 images failed"]
    assert f"the reasons are in {tmp_path / 'out' / 'counts.csv'}" in shown[-1]
    assert sum("the file is empty; copy it again" in line for line in shown) == 1, "every reason is said once"
    assert shown[1].startswith("b: failed: ") and shown[3].startswith("d: failed: ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "c", "counts.csv", "counts.html"]
    with pytest.raises(InputError, match=r"^2 of 4 images failed; the reasons are in .*counts\.csv"):
        segment_all(segmenter(), str(tmp_path / "slides"), str(tmp_path / "out"), None, "false")
    with pytest.raises(InputError, match=r"^d\.svs: .*d\.svs: the file is empty"):
        segment_all(segmenter(), str(tmp_path / "slides" / "d.svs"), str(tmp_path / "out"), None, "false")


def test_a_table_names_slides_and_their_resolution(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        draw(tmp_path / folder / "a.tif", mpp=None)
    (tmp_path / "t.csv").write_text("slide,mpp,name\nx/a.tif,0.25,first\ny/a.tif,,\n")
    cases = find_cases([tmp_path / "t.csv"])
    assert [(case.name, case.mpp) for case in cases] == [("first", 0.25), ("a", None)]
    assert [case.name for case in find_cases([tmp_path / "x", tmp_path / "y"])] == ["x_a", "y_a"]
    both = find_cases([tmp_path / "x" / "a.tif", tmp_path / "x" / "a.svs"])
    assert [case.name for case in both] == ["a_tif", "a_svs"]
    three = find_cases([*(case.path for case in both), tmp_path / "y" / "a.tif", tmp_path / "y" / "b.tif"])
    assert [case.name for case in three] == ["x_a", "a_svs", "y_a", "b"]
    outcomes = segment_cohort(segmenter(), [tmp_path / "t.csv"], tmp_path / "out")
    assert ["(given)" in o.result["resolution"] for o in outcomes] == [True, False]
    assert "unknown" in outcomes[1].result["resolution"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\na.tif\n", "needs a header with the column slide"),
        ("slide,mpp\na.tif,fine\n", "line 2: mpp is 'fine'"),
        ("slide\n\n", "needs a header"),
        ("slide,name\na.tif,x\nb.tif,x\n", "would write to one folder, x; give them names"),
        ("slide,name\na.tif,..\n", r"line 2: name is '\.\.'; give a name without folders"),
        ("slide,name\na.tif,../b\n", "give a name without folders"),
        ("slide,mpp\nx/a.tif,1\nx/a.tif,2\n", "would write to one folder, x_a_tif; give them names in a table"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, table, message):
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        find_cases([tmp_path / "t.csv"])


def test_a_disk_that_is_full_is_said_and_nothing_finished_is_lost(tmp_path, monkeypatch, capsys):
    slides = [draw(tmp_path / name) for name in ("a.tif", "b.tif")]
    segment_cohort(segmenter(), slides[:1], tmp_path / "out")
    before = content(tmp_path / "out" / "a")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("monai_seunet.slides.inference.blend.WindowStore.write", full)
        outcomes = segment_cohort(segmenter(), slides, tmp_path / "out")
    assert [outcome.result is None for outcome in outcomes] == [False, True]
    assert "b: failed: No space left on device; free some space and go on" in capsys.readouterr().out
    assert content(tmp_path / "out" / "a") == before
    assert all(outcome.result for outcome in segment_cohort(segmenter(), slides, tmp_path / "out"))


def test_two_jobs_do_not_work_in_one_folder(tmp_path):
    slide = draw(tmp_path / "a.tif")
    with locked(tmp_path / "out" / "a"):
        (outcome,) = segment_cohort(segmenter(), [slide], tmp_path / "out")
    assert outcome.result is None and f"process {os.getpid()} on" in outcome.problem
    (outcome,) = segment_cohort(segmenter(), [slide], tmp_path / "out")
    assert outcome.result is not None


def test_headers_may_be_written_in_any_way(tmp_path):
    draw(tmp_path / "a.tif", mpp=None)
    (tmp_path / "t.csv").write_text("Slide, MPP\na.tif,0.5\n")
    (case,) = find_cases([tmp_path / "t.csv"])
    assert case.mpp == 0.5 and case.path.is_absolute()
    made = segmenter(power=20)
    assert "0.25 µm" in made.run(case.path, tmp_path / "out", mpp=0.25)["resolution"], "the table stands above"
