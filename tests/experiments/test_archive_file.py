"""The file of an archive: what it keeps, what it leaves out, and damage that is refused."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monai_seunet.experiments.archive import read_archive
from monai_seunet.experiments.archive_file import ArchivedRun, Point, read_runs, thin, write_runs
from monai_seunet.utils.errors import InputError

RUN = ArchivedRun("A-0", 1, 2, {"data": "x"}, {}, {"plan": {"seed": 0}, "done": {}}, [Point("loss", 1, 9, 0.1)], {})


@pytest.fixture
def archive(tmp_path):
    """A small archive."""
    (tmp_path / "experiment.json").write_text(json.dumps({"title": "t", "about": "a", "trainings": {"A": {}}}))
    write_runs(tmp_path, [RUN._replace(name="B-0"), RUN])
    return tmp_path


def test_an_archive_is_read_as_it_was_written(archive):
    experiment, runs = read_archive(archive)
    assert experiment.title == "t" and runs == [RUN, RUN._replace(name="B-0")]
    first = (archive / "runs.parquet").read_bytes()
    write_runs(archive, runs)
    assert (archive / "runs.parquet").read_bytes() == first


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "runs.parquet").write_bytes(b"PAR1"), "no archive of an experiment"),
        (lambda folder: (folder / "runs.parquet").unlink(), r"no archive of an experiment \(No such file"),
        (lambda folder: pq.write_table(pa.table({"a": [1]}), folder / "runs.parquet"), "has another format"),
        (lambda folder: (folder / "experiment.json").write_text("{"), "experiment.json: no JSON"),
        (lambda folder: write_runs(folder, [RUN._replace(name="../../A-0")]), "'../../A-0' leads out of its folder"),
        (lambda folder: write_runs(folder, [RUN._replace(files={"a/../../b": b""})]), "'a/../../b' leads out of"),
        (lambda folder: write_runs(folder, [RUN._replace(files={"/etc/passwd": b""})]), "'/etc/passwd' leads out of"),
        (lambda folder: write_runs(folder, [RUN._replace(state={"done": {}})]), "no archive of an experiment"),
    ],
)
def test_a_harmed_archive_is_refused(archive, harm, message):
    harm(archive)
    with pytest.raises(InputError, match=message) as refused:
        read_archive(archive)
    assert str(archive) in str(refused.value) and "\n" not in str(refused.value)


def test_curves_over_steps_are_thinned_and_other_metrics_are_not():
    values = np.cos(np.arange(1000) / 90)
    values[[333, 666]] = -9, 9
    loss = [Point("loss", step, 5 * step, value) for step, value in enumerate(values.tolist())]
    kept = thin(loss)
    assert len(kept) <= 200 and kept == sorted(set(kept)) and {loss[0], loss[333], loss[666], loss[-1]} <= set(kept)
    assert max(after.step - before.step for before, after in pairwise(kept)) <= 7, "evenly"
    assert thin(kept) == kept
    score = [point._replace(metric="validation/score_over_scales") for point in loss]
    assert thin(score) == score


def test_equal_files_are_stored_once(tmp_path):
    content = np.random.default_rng(0).bytes(100_000)
    write_runs(tmp_path, [RUN._replace(name=f"A-{n}", files={"config/a": content}) for n in range(9)])
    assert (tmp_path / "runs.parquet").stat().st_size < 120_000
    assert [run.files["config/a"] for run in read_runs(tmp_path)] == [content] * 9
