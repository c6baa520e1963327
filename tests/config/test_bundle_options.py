"""Options of the bundle's command line that it has to refuse."""

import json
import subprocess
import sys

import pytest
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser

from monai_seunet.config.bundle_options import check_command_line
from monai_seunet.config.read import content
from monai_seunet.utils.errors import InputError

PROGRAM = "/somewhere/monai/bundle/__main__.py"


@pytest.fixture
def files(configs):
    """The words that name a config and its overlay."""
    return ["--config_file", f"['{configs / 'train.json'}','{configs / 'evaluate.json'}']"]


@pytest.mark.parametrize(
    "words",
    [
        ["--batch_size", "4", "--max_lr=0.01", "--resume", "True", "--stain", "false"],
        ["--val-interval", "2", "--max_minutes", "1.5", "--dice_weight", "0.5", "--max_lr", "$1 / 3"],
        ["--network_def#truncation", "3", "--+imports", "['$import os']", "--section", "test", "--init_id", "start"],
        ["--_meta_::version", "1", "--tags#mine", "x", "--epochs", "@val_interval", "--crop_size=None"],
        ["--val_window", "0", "--equivariance_images=0", "--max_images", "None", "--width", "$4 * @num_scales"],
        ["--network_def#shared_norm", "false", "--network_def#directions", "False", "--tags#mine", "false"],
    ],
)
def test_what_the_configs_know_passes(files, words):
    check_command_line([PROGRAM, "run", "training", *files, *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batchsize", "4"], r"--batchsize: no such option; did you mean --batch_size\?"),
        (["--netwrk_def#width", "4"], r"--netwrk_def: .* --network_def\?"),
        (["--zzz", "4"], "--zzz: no such option in the configs"),
        (["--_desc_", "x"], "--_desc_: no such option"),
        (["--num_scales", "7"], "--num_scales: follows from --num_octaves and --scales_per_octave; give those"),
        (["--epochs", "ten"], "--epochs ten: give a whole number from 1 on, as 70"),
        (["--max_lr", "high"], r"--max_lr high: give a number, as 0\.015"),
        (["--max_minutes", "ten"], "--max_minutes ten: give a number"),
        (["--width", "wide"], "--width wide: give a whole number"),
        (["--threads", "0"], "--threads 0: give a whole number"),
        (["--epochs"], "--epochs True: give a whole number"),
        (["--batch_size=0"], "--batch_size 0: give a whole number from 1 on"),
        (["--crop_size", "19.5"], r"--crop_size 19\.5: give a whole number"),
        (["--resume", "maybe"], "--resume maybe: give true or false"),
        (["--stain", "maybe"], "--stain maybe: give true or false"),
        (["--trained_group_weights", "maybe"], "--trained_group_weights maybe: give true or false"),
        (["--scale_augmentation_probability", "often"], "--scale_augmentation_probability often: give a number"),
        (["--standardise", "1"], "--standardise 1: give true or false"),
        (["--network_def#directions", "false"], "--network_def#directions false: a text, .* true; write False"),
        (["--train::dataloader::shuffle=TRUE"], "--train::dataloader::shuffle TRUE: a text, .* true; write True"),
    ],
)
def test_what_would_change_nothing_or_fail_is_named(files, words, message):
    with pytest.raises(InputError, match=message):
        check_command_line([PROGRAM, "run", *files, *words])


@pytest.mark.parametrize(("word", "directions"), [("False", False), ("True", True), ("false", True)])
def test_a_part_that_is_a_text_would_be_taken_for_true(configs, word, directions):
    config = ConfigParser()
    config.read_config(configs / "train.json")
    config["initialize"], config["directions"] = ["$monai_seunet.config.take_options(__local_refs)"], False
    config["network_def#directions"] = DefaultParseValue(word)  # as MONAI's command reads it
    content(config, "initialize")
    assert bool(content(config, "network_def").directions) is directions


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("inference", ["--window", "0", "--largest_on_device", "0"]),
        ("inference_wsi", ["--window_context", "0", "--window_overlap", "0", "--mpp", "auto"]),
    ],
)
def test_nought_is_a_number_where_it_means_something(configs, job, words):
    check_command_line([PROGRAM, "run", "--config_file", str(configs / f"{job}.json"), *words])


def test_separate_objects_of_an_overlay_can_be_switched_off(configs):
    files = f"['{configs / 'train.json'}','{configs / 'data' / 'dsb_fluorescence.json'}']"
    check_command_line([PROGRAM, "run", "--config_file", files, "--separate_objects", "0"])


def test_options_of_an_args_file_are_checked_and_other_programs_are_not(files, tmp_path):
    (tmp_path / "args.json").write_text(json.dumps({"batchsize": 4}))
    with pytest.raises(InputError, match="did you mean --batch_size"):
        check_command_line([PROGRAM, "run", *files, "--args_file", str(tmp_path / "args.json")])
    check_command_line(["/bin/pytest", *files, "--batchsize", "4"])


@pytest.mark.slow
@pytest.mark.parametrize("job", ["train", "inference_wsi"])  # inference: see its own tests
def test_the_command_ends_in_one_line(configs, job):
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(configs / f"{job}.json")]
    done = subprocess.run([*command, "--thraeds", "1"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: --thraeds: no such option; did you mean --threads?"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "names", [["train"], ["train", "evaluate"], ["train", "evaluate_rotation"], ["inference"], ["inference_wsi"]]
)
def test_a_switch_that_a_program_gives_as_a_text_is_refused(configs, names):
    config = ConfigParser()
    config.read_config([configs / f"{name}.json" for name in names])
    config["directions"] = False  # without data and weights
    steps = [f"initialize#{n}" for n, step in enumerate(config["initialize"]) if "check_switches" in step]
    switches = {name for name, value in config.get().items() if isinstance(value, bool)} - {"main_process"}
    for name in {*switches, "stain", "standardise"} - ({"directions"} if "inference" in names[0] else set()):
        default, config[name] = config[name], "false"
        with pytest.raises(InputError, match=f"{name} is 'false', a text; give True or False"):
            _ = [content(config, step) for step in steps]
        config[name] = default
    assert [content(config, step) for step in steps] == [None] * len(steps) != []
