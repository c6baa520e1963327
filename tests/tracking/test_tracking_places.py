"""Where MLflow's store and the files of its runs are, whatever the folder is called."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ignite.engine import Engine
from mlflow import MlflowClient

from monai_seunet.tracking import RunTrackingHandler
from monai_seunet.tracking.client import connect, experiment_id, log_command, sqlite_uri
from monai_seunet.utils.errors import InputError

NAMES = ["my runs", "ä ö", "50%", "a%20b", "a%25b", "Case #12", "a?b", "a&b+c=d;e", "$x", 'it\'s "x"', "a\\b", "a:b@c"]
TWO_AT_ONCE = """
import sys, time
from monai_seunet.tracking.client import connect, experiment_id
print(flush=True)
sys.stdin.readline()
client = connect(sys.argv[1])
run = client.create_run(experiment_id(client, "first"))
client.log_text(run.info.run_id, "x", "x.txt")
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_new_store_is_the_only_file(tmp_path: Path) -> None:
    connect(sqlite_uri(tmp_path / "a%20b?" / "mlruns.db"))
    assert files_of(tmp_path) == [tmp_path / "a%20b?" / "mlruns.db"] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("begun_by", ["command", "training"])
def test_files_lie_beside_the_store_and_nowhere_else(
    empty_store: Path, tmp_path: Path, name: str, begun_by: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(empty_store, folder)
    uri = sqlite_uri(folder / "mlruns.db")
    client = connect(uri)
    if begun_by == "training":
        handler = RunTrackingHandler(uri, "seunet", {"network": "x"}, {})
        handler.start(Engine(lambda engine, batch: None))
        client, number = handler.client, handler.experiment.experiment_id
    else:
        number = experiment_id(client)
    run = client.create_run(number).info.run_id
    client.log_text(run, "here", "notes/a.txt")
    files = [path for path in files_of(tmp_path) if "config" not in path.parts]
    assert files == sorted([folder / "mlruns.db", folder / "mlruns" / run / "artifacts/notes/a.txt"])
    assert [entry.name for entry in tmp_path.iterdir()] == [name]  # no stray folder either
    assert [entry.path for entry in MlflowClient(uri).list_artifacts(run, "notes")] == ["notes/a.txt"]
    assert Path(client.download_artifacts(run, "notes/a.txt", str(tmp_path))).read_text() == "here"


@pytest.mark.parametrize("uri", ["sqlite:///{}/my runs/mlruns.db", "sqlite:///{}/my%20runs/mlruns.db?timeout=9"])
def test_a_uri_that_a_user_writes_names_the_same_store(empty_store: Path, tmp_path: Path, uri: str) -> None:
    (tmp_path / "my runs").mkdir()
    shutil.copy(empty_store, tmp_path / "my runs")
    client = connect(uri.format(tmp_path))
    where = client.get_experiment(experiment_id(client)).artifact_location
    assert where == (tmp_path / "my runs" / "mlruns").as_uri()
    assert [entry.name for entry in tmp_path.iterdir()] == ["my runs"]


def test_a_folder_of_the_user_is_left_where_it_is(empty_store: Path, tmp_path: Path) -> None:
    for name in ("a?b", "a%3Fb"):
        (tmp_path / name).mkdir()
    shutil.copy(empty_store, tmp_path / "a?b")
    connect(sqlite_uri(tmp_path / "a?b" / "mlruns.db"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a%3Fb", "a?b"]


def test_the_configs_of_a_run_are_kept_whatever_they_are_called(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a b.json", "Case #12.json", "it's.yaml", "plain.json"]
    for name in names:
        (tmp_path / name).write_text("{}")
    client = connect(sqlite_uri(shutil.copy(empty_store, tmp_path)))
    for words in (["--config_file", str(names)], [f"--config_file={names}"], ["--config_file", ",".join(names)], names):
        monkeypatch.setattr(sys, "argv", ["monai.bundle", "run", *words, "{[1]}", "absent.json"])
        run = client.create_run(experiment_id(client)).info.run_id
        log_command(client, run)
        kept = {Path(entry.path).name for entry in client.list_artifacts(run, "config")}
        assert kept == {"command.txt", *names}


def test_a_store_that_cannot_be_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"tracking_uri 'sqlite:////.*/file/x/mlruns.db': "):
        connect(sqlite_uri(tmp_path / "file" / "x" / "mlruns.db"))


@pytest.mark.slow
def test_two_first_trainings_begin_one_store(tmp_path: Path) -> None:
    uri = sqlite_uri(tmp_path / "my runs" / "mlruns.db")
    command = [sys.executable, "-c", TWO_AT_ONCE, uri]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline()  # both have imported everything
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    client = MlflowClient(uri)
    (first,) = [one for one in client.search_experiments() if one.name == "first"]
    assert len(client.search_runs([first.experiment_id])) == 2
    assert len(files_of(tmp_path)) == 3  # the store and a file of each
