"""The inference bundle: files in, files out, equal to what the network says about the whole image."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from repository import CONFIGS
from workflows import config_of, infer, lively, monai_command, refusal

from monai_seunet.fusion import fuse, winning_scale
from monai_seunet.networks import PlainUNet, SEUNet
from monai_seunet.reading.raster import read_image, read_raster
from monai_seunet.writers import write_raster

OCTAVES = {"num_octaves": 3, "scales_per_octave": 2}

Run = Callable[..., dict[str, np.ndarray]]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def channels_first(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).movedim(2, 0) / 255


@pytest.fixture
def network() -> torch.nn.Module:
    return lively(SEUNet(width=10), channels_first(picture(64, 64)))


@pytest.fixture
def run(tmp_path: Path, network: torch.nn.Module) -> Run:
    """Run the bundle in this process, with one octave unless told otherwise, and read what it wrote."""
    torch.save(network.state_dict(), tmp_path / "model.pt")

    def run(image: Path, overlays: tuple[str, ...] = ("networks/seunet_geometric",), **override: object):
        output = tmp_path / "out"
        shutil.rmtree(output, ignore_errors=True)  # of the run before in the same test
        given = {"image": image, "output_dir": output, "checkpoint": tmp_path / "model.pt", "width": 10}
        given |= {"stain": False, "stain_target": CONFIGS / "stain_target.json"}
        infer("inference", *overlays, **given | override)
        return {path.name: read_raster(path).pixels for path in sorted(output.glob("[!.]*"))}

    return run


def test_the_default_network_has_octaves(run: Run, tmp_path: Path) -> None:
    network = lively(SEUNet(width=12, **OCTAVES), channels_first(picture(128, 128)))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    pixels = picture(150, 190, 1)
    write_raster(tmp_path / "a.png", pixels)
    files = run(tmp_path / "a.png", (), width=12)
    with torch.no_grad():
        fused = fuse(network(channels_first(pixels)[None]).softmax(2), "p_conf")[0]
    assert fused[1].std() > 0.01, "the network distinguishes pixels, so agreement means something"
    assert np.abs(files["a_probability.tif"] - fused[1].numpy()).max() < 1e-5
    assert files["a_scale.png"].max() > 3, "of the coarsest octave, too"


def test_nothing_is_overwritten_unless_told(run: Run, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.png", picture(20, 30))
    mine = np.full((20, 30), 7, np.uint8)
    write_raster(tmp_path / "a_label.png", mine)
    message = refusal(run, tmp_path / "a.png", output_dir=tmp_path)
    assert "a_label.png: exists; give another output_dir" in message
    assert (read_raster(tmp_path / "a_label.png").pixels == mine).all()
    run(tmp_path / "a.png", output_dir=tmp_path, overwrite=True)
    assert not (read_raster(tmp_path / "a_label.png").pixels == mine).all()


def test_a_folder_that_cannot_be_written_to_is_named(run: Run, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.png", picture(20, 30))
    (tmp_path / "file").write_text("no folder")
    message = refusal(run, tmp_path / "a.png", output_dir=tmp_path / "file")
    assert "file: results cannot be written there" in message


@pytest.mark.filterwarnings("ignore:.*three channels interpreted as RGB")  # NIfTI does not say what its fourth axis is
def test_outputs_of_many_formats_equal_the_network(run: Run, network: torch.nn.Module, tmp_path: Path) -> None:
    images = {"a.png": picture(70, 50), "b.tif": picture(33, 90, 1), "c.nii.gz": picture(64, 64, 2)}
    for name, pixels in images.items():
        write_raster(tmp_path / "scans" / name, pixels, 0.25)
    files = run(tmp_path / "scans")
    assert len(files) == 15
    for name, pixels in images.items():
        stem = name.split(".")[0]
        with torch.no_grad():
            groups = network(channels_first(pixels)[None]).softmax(2)
        fused = fuse(groups, "p_max")[0].numpy()
        assert fused[1].std() > 0.05, "the network distinguishes pixels, so agreement means something"
        assert np.abs(files[f"{stem}_probability.tif"] - fused[1]).max() < 1e-5
        assert (files[f"{stem}_label.png"] == fused.argmax(0)).mean() > 0.999
        assert (files[f"{stem}_scale.png"] == winning_scale(groups)[0, 0].numpy()).mean() > 0.999
        assert files[f"{stem}_overlay.png"].shape == pixels.shape
        assert files[f"{stem}_scales_overlay.png"].shape[1:] == pixels.shape[1:]
        assert read_raster(tmp_path / "out" / f"{stem}_label.png").mpp == pytest.approx(0.25)


def test_a_window_larger_than_the_image_is_the_image(run: Run, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.png", picture(150, 210))
    results = [run(tmp_path / "a.png", window=window) for window in (0, 512, [96, 64])]
    whole, covered, pieces = (files["a_probability.tif"] for files in results)
    assert np.abs(whole - covered).max() < 1e-5
    assert np.abs(whole - pieces).max() > 1e-3, "an untrained network sees far beyond a small window"


@pytest.mark.parametrize("target", [0.5, 0.2])
def test_rescaled_for_the_network_and_back_for_the_files(run: Run, tmp_path: Path, target: float) -> None:
    write_raster(tmp_path / "a.png", picture(70, 101), 0.25)
    plain = run(tmp_path / "a.png")
    files = run(tmp_path / "a.png", network_mpp=target)
    for name in ("a_label.png", "a_probability.tif", "a_scale.png"):
        assert files[name].shape == (70, 101)
        assert read_raster(tmp_path / "out" / name).mpp == pytest.approx(0.25)
    assert np.array_equal(files["a_overlay.png"].shape, plain["a_overlay.png"].shape)
    assert np.abs(files["a_probability.tif"] - plain["a_probability.tif"]).max() > 1e-3


def test_a_given_mpp_replaces_that_of_the_file(run: Run, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.png", picture(40, 40))
    assert "as mpp" in refusal(run, tmp_path / "a.png", network_mpp=0.5)
    assert run(tmp_path / "a.png", network_mpp=0.5, mpp=0.25)["a_label.png"].shape == (40, 40)
    assert read_raster(tmp_path / "out" / "a_label.png").mpp == pytest.approx(0.25)


def test_formats_by_option(run: Run, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.png", picture(40, 40))
    files = run(tmp_path / "a.png", label_format=".nii.gz", probability_format=".mha", scale_format=".tif")
    assert {"a_label.nii.gz", "a_probability.mha", "a_scale.tif"} <= files.keys()


def test_stain_normalisation_changes_stained_images_only(run: Run, tmp_path: Path) -> None:
    density = np.random.default_rng(0).random((64, 64, 2)) @ np.array([[0.6, 0.7, 0.3], [0.1, 0.9, 0.2]])
    write_raster(tmp_path / "tissue.png", (255 * np.exp(-density)).astype(np.uint8))
    write_raster(tmp_path / "blank.png", np.full((64, 64, 3), 250, np.uint8))
    without = run(tmp_path / "*.png")
    normalised = run(tmp_path / "*.png", stain=True)
    assert np.abs(normalised["tissue_probability.tif"] - without["tissue_probability.tif"]).max() > 1e-3
    assert np.array_equal(normalised["blank_probability.tif"], without["blank_probability.tif"])
    assert np.array_equal(normalised["tissue_overlay.png"][:64, :64].shape, (64, 64, 3))


def test_several_classes_and_other_networks(run: Run, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.png", picture(40, 48))
    network = lively(PlainUNet(width=4, out_channels=3), channels_first(picture(64, 64)))
    torch.save({"network": network.state_dict()}, tmp_path / "model.pt")
    classes = {"num_classes": 3, "class_names": ["background", "a", "b"]}
    files = run(tmp_path / "a.png", ("networks/plain_unet",), width=4, **classes)
    with torch.no_grad():
        probabilities = network(channels_first(picture(40, 48))[None]).softmax(1)[0]
    assert (files["a_label.png"] == probabilities.argmax(0).numpy()).mean() > 0.999
    assert "a_scales_overlay.png" not in files


def test_grey_images_of_16_bits_are_standardised(run: Run, tmp_path: Path) -> None:
    grey = (picture(40, 48)[..., 0] * np.uint16(200)).astype(np.uint16)
    write_raster(tmp_path / "a.png", grey)
    network = lively(PlainUNet(in_channels=1, width=4), channels_first(picture(64, 64))[:1])
    torch.save(network.state_dict(), tmp_path / "model.pt")
    overlays = ("networks/plain_unet", "data/threeclass")
    with pytest.warns(UserWarning, match="16 bits converted to 8"):
        files = run(tmp_path / "a.png", overlays, width=4, dataset_dir=tmp_path)
    shown = read_image(tmp_path / "a.png", 1).pixels.astype(np.float64)
    assert np.corrcoef(shown.ravel(), grey.ravel())[0, 1] > 0.98, "single bright pixels do not stretch the range"
    standardised = torch.from_numpy((shown - shown.mean()) / shown.std()).float()
    with torch.no_grad():
        probabilities = network(standardised[None, None]).softmax(1)[0]
    assert np.abs(files["a_probability.tif"] - probabilities[1].numpy()).max() < 1e-4
    assert files["a_overlay.png"].shape == (40, 48, 3)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        ("scans", {"width": 20}, r"model\.pt: checkpoint of another network"),
        ("scans", {"checkpoint": "no.pt"}, r"no\.pt: no such checkpoint"),
        ("scans/b.png", {}, r"b\.png: no such"),
        ("not a number", {}, r"a\.nii: float(32|64) samples in 3 channel\(s\) are no colours"),
        ("nothing", {}, "nothing: holds no image"),
        ("same name", {}, r"a\.png and .*a\.tif have the same name"),
        ("scans", {"window": 100}, "window is 100 pixels"),
    ],
)
def test_mistakes_are_named_and_leave_no_outputs(
    run: Run, tmp_path: Path, image: str, options: dict[str, object], message: str
) -> None:
    write_raster(tmp_path / "not a number" / "a.nii", np.full((40, 40, 3), np.nan))
    (tmp_path / "nothing").mkdir()
    for file in ("scans/a.png", "same name/a.png", "same name/a.tif"):
        write_raster(tmp_path / file, picture(40, 40))
    assert re.search(message, refusal(run, tmp_path / image, **options))
    assert not list(tmp_path.glob("out/*"))


def test_a_grey_image_goes_to_a_network_of_colours_as_rgb(run: Run, tmp_path: Path) -> None:
    grey = picture(40, 48)[..., 0]
    write_raster(tmp_path / "three.png", np.dstack([grey] * 3))
    expected = run(tmp_path / "three.png")["three_probability.tif"]
    write_raster(tmp_path / "one.png", grey)
    with pytest.warns(UserWarning, match=r"one\.png: grey image"):
        assert np.array_equal(run(tmp_path / "one.png")["one_probability.tif"], expected)


@pytest.mark.parametrize("job", ["train", "inference"])
def test_windows_lie_on_the_pooling_grid_of_the_network(job: str) -> None:
    parser = config_of(job, "networks/baseline_unet", width=4)
    inferer = parser.get_parsed_content("validate#inferer" if job == "train" else "inferer")
    assert inferer.multiple == parser.get_parsed_content("network_def").stride == 32


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.png", picture(70, 100))
    torch.save(SEUNet(width=12, **OCTAVES).state_dict(), tmp_path / "model.pt")
    command = ["--config_file", CONFIGS / "inference.json", "--width", "12", "--image", tmp_path / "a.png"]
    command += ["--output_dir", tmp_path / "out", "--stain", "False"]
    done = monai_command(*command, "--checkpoint", tmp_path / "model.pt")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 6, "five files, and the hidden record"
    assert "\r" not in done.stderr + done.stdout and "%|" not in done.stderr, "no progress bar in a file"
    assert "a.png: " in done.stdout and " % foreground" in done.stdout
    assert "70 x 100 pixels is too small for octave 2 (from 0)" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--thraeds", "1", "--thraeds: no such option; did you mean --threads?"),
        ("--checkpoint", "no.pt", "no.pt: no such checkpoint"),
    ],
)
def test_a_command_that_fails_ends_in_one_line(tmp_path: Path, option: str, value: str, message: str) -> None:
    write_raster(tmp_path / "a.png", picture(70, 100))
    command = ["--config_file", CONFIGS / "inference.json", "--image", "a.png", "--output_dir", "out"]
    failed = monai_command(*command, option, value, cwd=tmp_path)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith(f"error: {message}") and failed.stderr.count("error: ") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
