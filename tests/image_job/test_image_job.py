"""Many images: what fails does not stop the others, what is done is not done again, what is empty is said."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from monai.data import DataLoader
from monai.transforms import Compose
from repository import CONFIGS
from slide_files import noise

from monai_seunet.data.images import OUTPUT_POSTFIXES
from monai_seunet.image_job import ImageJob, TolerantDataset, TolerantEvaluator
from monai_seunet.networks import PlainUNet
from monai_seunet.reading import read_raster
from monai_seunet.utils.errors import InputError, find_input_error
from monai_seunet.writers import SaveMapd, write_raster


def picture(seed: int) -> np.ndarray:
    return noise(48, 40, seed=seed)


@pytest.fixture
def network() -> PlainUNet:
    network = PlainUNet(width=4)
    with torch.no_grad():  # norms as after training, so it finds some foreground
        for norm in network.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = 1.0
        logits = network.train()(torch.from_numpy(picture(9)).movedim(2, 0)[None] / 255)
        network.head.bias.sub_(logits.mean((0, 2, 3)))
    return network.eval()


@pytest.fixture
def run(tmp_path, network, monkeypatch, capfd):
    """Segment `scans` into `out`; returns what the user reads, and the message of the error."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the bundle replaces it
    (tmp_path / "scans").mkdir()

    def run(image: Path | None = None, **changes: Any) -> tuple[list[str], str]:
        torch.save(network.state_dict(), tmp_path / "model.pt")
        given = {
            "image": str(image or tmp_path / "scans"),
            "output_dir": str(tmp_path / "out"),
            "checkpoint": str(tmp_path / "model.pt"),
            "device": "$torch.device('cpu')",
            "width": 4,
            "stain": False,
            "stain_target": str(CONFIGS / "stain_target.json"),
        }
        files = [str(CONFIGS / "inference.json"), str(CONFIGS / "networks" / "plain_unet.json")]
        workflow = ConfigWorkflow(files, workflow_type="infer", logging_file=False, **given | changes)
        capfd.readouterr()
        message = ""
        try:
            workflow.initialize()
            workflow.run()
        except Exception as error:
            message = str(find_input_error(error) or error)
        shown = capfd.readouterr()
        assert "\r" not in shown.err + shown.out and "%|" not in shown.err + shown.out
        return shown.out.splitlines(), message

    return run


@pytest.fixture
def scans(tmp_path, run):
    """Two images, and an empty file between them."""
    for seed, name in enumerate(("a.png", "c.png")):
        write_raster(tmp_path / "scans" / name, picture(seed))
    (tmp_path / "scans" / "b.png").touch()
    return tmp_path / "scans"


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_file_does_not_stop_the_others(run, scans, tmp_path, workers):
    shown, message = run(num_workers=workers)
    assert "b.png" in message and "\n" not in message
    assert shown[-2] == "2 of 3 images are done" and shown[-1] == f"  not done: b.png: {message}"
    assert [line.split(":")[0] for line in shown[:-2]] == ["a.png", "b.png", "c.png"], "one line an image"
    ends = ("label.png", "overlay.png", "probability.tif", "scale.png")
    made = stamps(tmp_path / "out")
    assert sorted(made) == [f"{stem}_{end}" for stem in "ac" for end in ends]
    share = 100 * (read_raster(tmp_path / "out" / "a_label.png").pixels > 0).mean()
    assert 1 < share < 99 and shown[0] == f"a.png: {share:.1f} % foreground"
    again, message = run(num_workers=workers)
    assert again[0] == "2 images are done already; --overwrite true makes them again"
    assert again[-2:] == shown[-2:] and "b.png" in message and stamps(tmp_path / "out") == made
    write_raster(scans / "b.png", picture(7))
    shown, message = run(num_workers=workers)
    assert message == "" and shown[-1] == "3 of 3 images are done"
    assert made.items() < stamps(tmp_path / "out").items() and len(stamps(tmp_path / "out")) == 12
    shown, message = run(overwrite=True)
    assert message == "" and not any("already" in line for line in shown)
    assert not made.items() & stamps(tmp_path / "out").items()


def test_what_is_done_alone_ends_well(run, tmp_path):
    write_raster(tmp_path / "scans" / "a.png", picture(0))
    assert run()[1] == ""
    assert run() == (["1 image is done already; --overwrite true makes it again"], "")


def test_an_image_of_which_some_outputs_are_there_fails_and_the_others_are_made(run, scans, tmp_path):
    (scans / "b.png").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "c_scale.png").write_text("mine")
    shown, message = run()
    assert message.endswith("--overwrite true (c.png has no c_label.png)") and "c_scale.png: exists" in message
    assert shown[-2:] == ["1 of 2 images are done", f"  not done: c.png: {message}"]
    assert (tmp_path / "out" / "c_scale.png").read_text() == "mine" and len(stamps(tmp_path / "out")) == 5


def test_outputs_among_the_inputs_are_not_read_again(run, scans, tmp_path, caplog):
    (scans / "b.png").unlink()
    assert run(output_dir=str(scans))[1] == "" and "left out" not in caplog.text
    made = stamps(scans)
    shown, message = run(output_dir=str(scans))
    assert (message, shown[0]) == ("", "2 images are done already; --overwrite true makes them again")
    assert stamps(scans) == made and len(made) == 10
    (text,) = [text for text in caplog.messages if "left out" in text]
    assert text.startswith("8 file(s) left out, because their names are those of outputs of other images")
    assert "a_label.png" in text


def test_an_empty_label_map_is_said_at_the_end_and_an_error_where_that_is_asked_for(run, scans, network, tmp_path):
    (scans / "b.png").unlink()
    network.head.bias.data[:] = torch.tensor([1e6, -1e6])
    for strict in (False, False, True, True):
        shown, message = run(strict=strict)
        assert shown[-3:-1] == ["warnings of 2 of 2 images:", f"  a.png: {shown[-2].partition(': ')[2]}"]
        assert shown[-1].startswith("  c.png: the label map is empty: no pixel is foreground; if this is wrong, check")
        assert message == ("a.png: empty (strict); c.png: empty (strict)" if strict else "")
    assert not read_raster(tmp_path / "out" / "a_label.png").pixels.any()


class Refusing:
    """Finds one pixel in every image but the second, which it cannot take."""

    def __init__(self, error: Exception) -> None:
        self.error, self.calls = error, 0

    def __call__(self, inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("applying transform") from self.error
        found = torch.zeros_like(inputs)
        found[..., 0, 0] = 1
        return found


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (InputError("b: too odd"), "b: too odd"),
        (KeyError("level"), "b.png: KeyError: 'level'; the trace is in the log"),
    ],
)
def test_what_the_network_refuses_does_not_stop_the_others_either(tmp_path, caplog, capsys, error, problem):
    images = [{"image": f"{name}.png"} for name in "abc"]
    job = ImageJob(images, Compose([SaveMapd("pred", tmp_path)]))
    loader = DataLoader(TolerantDataset(job.items, lambda item: {"image": torch.ones(1, 4, 5)}), batch_size=1)
    parts = {"val_data_loader": loader, "network": torch.nn.Identity(), "inferer": Refusing(error)}
    evaluator = TolerantEvaluator(job=job, device=torch.device("cpu"), **parts)
    with pytest.raises(InputError) as caught:
        job.run(evaluator)
    assert str(caught.value) == problem and job.problems == {"b.png": problem} and not job.empty
    assert capsys.readouterr().out.splitlines() == [
        "a.png: 5.0 % foreground",
        f"b.png: failed: {problem}",
        "c.png: 5.0 % foreground",
        "2 of 3 images are done",
        f"  not done: b.png: {problem}",
    ]
    assert ("b.png failed" in caplog.text) == isinstance(error, KeyError), "the trace of what is no mistake of the user"


def test_all_outputs_of_the_config_have_known_ends():
    content = json.loads((CONFIGS / "inference.json").read_text())
    saver = next(t for t in content["postprocessing"]["transforms"] if str(t["_target_"]).endswith(".SaveMapd"))
    assert {*saver["postfix"], "overlay", "scales_overlay"} == set(OUTPUT_POSTFIXES)


def test_results_of_another_image_or_setting_are_refused(run, tmp_path):
    for seed, folder in enumerate(("one", "two")):
        write_raster(tmp_path / folder / "a.png", picture(seed))
    assert run(tmp_path / "one")[1] == ""
    assert "1 image is done already" in " ".join(run(tmp_path / "one")[0])
    label = read_raster(tmp_path / "out" / "a_label.png").pixels
    for folder, changes, name in (("two", {}, "path"), ("one", {"fusion": "p_max"}, "fusion")):
        _, error = run(tmp_path / folder, **changes)
        assert f"made with another {name}" in error and "--overwrite true" in error
        assert np.array_equal(read_raster(tmp_path / "out" / "a_label.png").pixels, label)
    assert run(tmp_path / "two", overwrite=True)[1] == ""
    assert not np.array_equal(read_raster(tmp_path / "out" / "a_label.png").pixels, label)
