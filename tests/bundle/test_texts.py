"""Paths, names and devices as a user writes them, on the way through Fire and MONAI into the configs."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fire
import numpy as np
import pytest
import torch
import workflows
from mlflow import MlflowClient
from monai.bundle import ConfigParser, ConfigWorkflow, run
from PIL import Image
from repository import CONFIGS
from sqlalchemy.engine import make_url

from monai_seunet.config.bundle_options import check_command_line, take_options
from monai_seunet.config.command_line import command_word
from monai_seunet.config.texts import LISTS, MAY_BE_NONE, MAY_BE_SEVERAL, PATHS, TEXTS, literal
from monai_seunet.networks import SEUNet
from monai_seunet.utils.errors import InputError

PROGRAM = "/somewhere/monai/bundle/__main__.py"
VALUES = [
    *("2023_01", "1e3", "007", "0x10", "-5", "3.50", "None", "True", "nan", "inf", "null", "false"),
    *("Case #12", "#12", "a#b", "a::b", "a,b", "a=b", "a:b", "--x", "-x", "-", "a@#b", "50%", "a%20b", "./%x"),
    *("$x", "$1 / 0", "@x", "@dataset_dir", "$@dataset_dir", "[1]", "[]", "[a,b]", "(a)", "{b}", "{a: b}", "1 + 1"),
    *("my runs", " ä ö ", "'a'", '"a"', "it's", "a\\b", "C:\\runs\\new", "~x", "a?b&c+d", "日本", "x" * 300, "a\nb"),
]
JOBS = {
    "inference": ["inference"],
    "inference_wsi": ["inference_wsi"],
    "train": ["train"],
    "evaluate": ["train", "evaluate"],
    "evaluate_rotation": ["train", "evaluate_rotation"],
}
Values = Callable[..., dict[str, Any]]
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*parsing config_file"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning"),  # of Fire, which looks for Python in the values
]


@pytest.fixture
def values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Values:
    """Run a job of the bundle by its command line as far as its options are read, and return what ids stand for."""

    def command(job: str, names: list[str], *words: str, **contents: Any) -> dict[str, Any]:
        files = [CONFIGS / f"{name}.json" for name in JOBS[job]]
        steps = ConfigParser.load_config_file(files[0])["initialize"]
        reads = steps[: 1 + steps.index("$monai_seunet.config.take_options(__local_refs)")]
        told = ", ".join(f"'{name}': @{name}" for name in names)
        probe = {"+imports": ["$import json"], "begin": reads, "tell": f"$print(json.dumps({{{told}}}, default=str))"}
        (tmp_path / "probe.json").write_text(json.dumps({**probe, **contents}))
        given = ["run", "tell", "--init_id", "begin", "--logging_file", "False", "--config_file"]
        given += [str([*map(str, files), str(tmp_path / "probe.json")]), *words]
        monkeypatch.setattr(sys, "argv", [PROGRAM, *given])
        fire.Fire({"run": run}, given)
        found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return found

    return command


@pytest.mark.parametrize("job", JOBS)
def test_texts_stay_as_they_are_written(values: Values, job: str) -> None:
    known = ConfigParser.load_config_files([CONFIGS / f"{name}.json" for name in JOBS[job]])
    names = sorted(name for name in TEXTS - LISTS if name in known)
    assert len(names) >= 7
    for value in VALUES:
        found = values(job, names, *(f"--{name}={value}" for name in names))
        nothing = MAY_BE_NONE if value in ("None", "null") else set()
        assert found == {name: None if name in nothing else value for name in names}


def test_a_text_may_be_the_next_word(values: Values) -> None:
    for value in VALUES:
        if not value.startswith(("-x", "--", "-")) or value == "-5":
            assert values("inference", ["image"], "--image", value, "--threads", "1") == {"image": value}


def test_what_follows_from_a_text_has_it_as_it_is(values: Values) -> None:
    text = 'it\'s #1, "$x" \\n @b %41?'
    found = values("inference", ["image", "checkpoint"], "--dataset_dir", text, "--ckpt_dir", text)
    assert found == {"image": text, "checkpoint": f"{text}/model.pt"}
    found = values("train", ["ckpt_dir", "tracking_uri"], "--output_dir", f"/tmp/{text}")
    assert found["ckpt_dir"] == f"/tmp/{text}/models"
    assert make_url(found["tracking_uri"]).database == f"/tmp/{text}/mlruns.db"


def test_lists_nothing_and_the_home_folder(values: Values) -> None:
    home = str(Path.home())
    two, tilde = """["007", 'a #2']""", "['~/a','~b']"
    found = values("train", ["dataset_dir", "pretrained"], "--dataset_dir", two, "--pretrained", "None")
    assert found == {"dataset_dir": ["007", "a #2"], "pretrained": None}
    found = values("inference", ["image", "output_dir"], "--image", tilde, "--output_dir=~/x")
    assert found == {"image": [f"{home}/a", "~b"], "output_dir": f"{home}/x"}
    found = values("inference", ["class_names"], "--class_names", "['background','tumour #2']")
    assert found == {"class_names": ["background", "tumour #2"]}
    assert values("train", ["run_name"], "--run_name=~/x") == {"run_name": "~/x"}
    with pytest.raises(InputError, match=r"class_names is \[a,007\]; give a list of texts in quotes"):
        take_options({}, [PROGRAM, "run", "--class_names", "[a,007]"])


def test_texts_of_a_config_file_stay_where_they_are_no_expression(values: Values, tmp_path: Path) -> None:
    names = ["dataset_dir", "output_dir", "ckpt_dir", "run_name"]
    contents = {"dataset_dir": ["a #1", "b"], "output_dir": "a::b", "ckpt_dir": "$@output_dir + '!'"}
    (tmp_path / "args.json").write_text(json.dumps({"run_name": "Case #12"}))
    found = values("train", names, "--args_file", str(tmp_path / "args.json"), **contents)
    assert found == {"dataset_dir": ["a #1", "b"], "output_dir": "a::b", "ckpt_dir": "a::b!", "run_name": "Case #12"}


def test_an_expression_where_a_text_is_meant_is_said(values: Values, capsys: pytest.CaptureFixture[str]) -> None:
    found = values("train", ["epochs", "ckpt_dir"], "--epochs", "$2 * @val_interval", "--ckpt_dir", "/m")
    assert found == {"epochs": 10, "ckpt_dir": "/m"}  # numbers are still MONAI's
    take_options({}, [PROGRAM, "run", "--ckpt_dir", "$@output_dir"])
    assert "--ckpt_dir $@output_dir: used as a plain text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output_dir"], "--output_dir: give a value; one that begins with - as --output_dir=-x"),
        (["--output_dir", "-x", "--epochs", "2"], "--output_dir: give a value"),
        (["--output_dir", "-"], "a - stands alone"),
        (["--image", "x"], "--image: no such option"),
        (["-image=x"], "--image: no such option"),
        (["--dataset_dir#0", "x"], "--dataset_dir#0: a part of --dataset_dir; give the whole of it"),
        (["--used_device", "cpu"], "--used_device: follows from --device"),
        (["--tags#mine", "2023_01"], """--tags#mine 2023_01: .* write --tags#mine "'2023_01'\""""),
        (["--tags#mine", "1.50"], """write --tags#mine "'1.50'\""""),
        (["--tags#mine", "a,b"], """write --tags#mine "'a,b'\""""),
        (["--tags#mine", "None"], """write --tags#mine "'None'\""""),
        (["--tags#mine=Case #12"], r"write --tags#mine '\$'\"'\"'Case \\x2312"),
    ],
)
def test_a_text_that_would_be_lost_or_changed_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_command_line([PROGRAM, "run", "--config_file", str(CONFIGS / "train.json"), *words])


def test_words_that_a_program_makes_arrive(values: Values) -> None:
    for value in VALUES:
        words = [command_word(name, value) for name in ("output_dir", "tags#mine", "experiment")]
        found = values("train", ["output_dir", "tags::mine", "experiment"], *words)
        assert found == {"output_dir": value, "tags::mine": value, "experiment": value}
    words = [command_word("dataset_dir", ["a #1", "2"]), command_word("run_name", None), command_word("resume", False)]
    words += [command_word("epochs", 3), command_word("fusion", "007"), command_word("field", None)]
    found = values("evaluate", ["dataset_dir", "run_name", "resume", "epochs", "fusion", "field"], *words)
    none = {"run_name": None, "field": None}
    assert found == {"dataset_dir": ["a #1", "2"], "resume": False, "epochs": 3, "fusion": "007", **none}


@pytest.mark.parametrize("job", JOBS)
def test_the_device_is_a_text_everywhere(values: Values, job: str) -> None:
    assert values(job, ["used_device"], "--device", "cpu") == {"used_device": "cpu"}
    assert values(job, ["used_device"], "--device", "$torch.device('cpu')") == {"used_device": "cpu"}


def test_every_text_of_the_configs_is_known_as_one_or_as_a_choice() -> None:
    choices = {"budget_clock", "fusion", "group", "labels_at", "loss_fusion", "object_truth", "object_type"}
    choices |= {"precision", "section", "tissue"}
    plain, devices = set(), []
    for path in [*CONFIGS.glob("*.json"), *CONFIGS.glob("networks/*.json"), *CONFIGS.glob("data/*.json")]:
        if path.name not in ("metadata.json", "stain_target.json"):
            content = json.loads(path.read_text())
            devices += [path.name] * path.read_text().count("@device")
            plain |= {name for name, value in content.items() if isinstance(value, str) and value[0] not in "$@"}
    assert {name for name in plain if "#" not in name} - choices <= TEXTS
    assert {"image", "checkpoint", "output_dir"} <= PATHS <= TEXTS and MAY_BE_SEVERAL <= TEXTS >= MAY_BE_NONE
    assert sorted(set(devices)) == ["inference.json", "inference_wsi.json", "train.json"]  # each in `used_device` alone


def test_a_training_keeps_its_files_where_it_says(
    workflow: Callable[..., ConfigWorkflow], empty_store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "my runs" / "ä #1?"
    folder.mkdir(parents=True)
    shutil.copy(empty_store, folder)
    made = workflow(output_dir=literal(str(folder)), ckpt_dir=literal(str(folder / "models")), device="cpu")
    client = MlflowClient(workflows.run(made).get_parsed_content("tracking_uri"))
    (found,) = client.search_runs([client.get_experiment_by_name("seunet").experiment_id])
    assert found.data.params["device"] == "cpu"
    kept = folder / "mlruns" / found.info.run_id / "artifacts" / "config" / "command.txt"
    assert kept.is_file() and (folder / "models" / "model.pt").is_file()
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "eval") == ["my runs"]
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]


@pytest.mark.slow
def test_the_command_reads_and_writes_what_it_was_told(tmp_path: Path) -> None:
    image, output, weights = "Case #12, ä $x.png", "{b}/a,b", "1e3"
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / image)
    torch.save(SEUNet(width=5).state_dict(), tmp_path / weights)
    files = [str(CONFIGS / f"{name}.json") for name in ("inference", "networks/seunet_geometric")]
    words = ["--config_file", files, "--width", "5", "--stain", "false", "--device", "cpu", "--checkpoint", weights]
    done = workflows.monai_command(*words, "--image", image, "--output_dir", output, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / output / "Case #12, ä $x_label.png").is_file()
    assert {entry.name for entry in tmp_path.iterdir()} == {image, weights, "{b}"}
    assert [entry.name for entry in (tmp_path / "{b}").iterdir()] == ["a,b"]
