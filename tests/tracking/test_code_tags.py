"""What a run says of the code, and where its files lie."""

import shutil
import subprocess

from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT
from repository import ROOT

import monai_seunet
from monai_seunet.tracking.client import code_tags, connect, experiment_id


def test_the_commit_is_that_of_the_package_wherever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)  # of a user
    tags = code_tags()
    assert tags["version"] == monai_seunet.__version__
    if (ROOT / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert tags[MLFLOW_GIT_COMMIT] == head.stdout.strip()
        assert tags["changed_since_commit"] in ("true", "false")


def test_a_package_outside_a_clone_names_no_commit(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    package = tmp_path / "venv" / "site-packages" / "monai_seunet"
    package.mkdir(parents=True)
    monkeypatch.setattr("monai_seunet.tracking.client.__file__", str(package / "tracking" / "client.py"))
    assert code_tags() == {"version": monai_seunet.__version__}


def test_files_lie_beside_the_store(empty_store, tmp_path, monkeypatch):
    shutil.copy(empty_store, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    client = connect(f"sqlite:///{tmp_path}/mlruns.db")
    number = experiment_id(client)
    assert client.get_experiment(number).artifact_location == (tmp_path / "mlruns").as_uri()
    assert experiment_id(client) == number
