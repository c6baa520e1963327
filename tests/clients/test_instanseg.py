"""The folder for QuPath's InstanSeg extension, opened by `instanseg-torch`: the nuclei of `segment`."""

import csv
import io
import json
import tarfile
from pathlib import Path

import bioimageio.spec
import numpy as np
import pytest
import tifffile
import torch
from instanseg import InstanSeg
from repository import ROOT
from skimage.data import immunohistochemistry
from skimage.io import imread

from monai_seunet.cli import main
from monai_seunet.metrics.objects.overlaps import object_counts
from monai_seunet.nuclei import segment


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Function that exports a model once, and returns its folder."""
    made: dict[str, Path] = {}

    def export(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("local") / name
            assert main(["export", "--model", name, "--format", "instanseg", "-o", str(made[name])]) == 0
        return made[name]

    return export


@pytest.fixture(scope="session")
def client(exported):
    """Function that returns the client with a model, which it loads by name as its own models."""

    def load(name: str) -> InstanSeg:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("INSTANSEG_BIOIMAGEIO_PATH", str(exported(name).parent))
            return InstanSeg(name, device="cpu", verbosity=0)

    return load


def found(client: InstanSeg, pixels: np.ndarray, **options) -> np.ndarray:
    tensor = torch.from_numpy(pixels.astype(np.float32))
    tensor = tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor.unsqueeze(0)
    labels = client.eval_small_image(tensor, return_image_tensor=False, **options)
    assert labels.shape == (1, 1, *pixels.shape[:2])
    return labels[0, 0].numpy().astype(np.int64)


def f1(one: np.ndarray, other: np.ndarray) -> float:
    hits, wrong, missed = object_counts(one, other)[:3]
    return 2 * hits / (2 * hits + wrong + missed)


def test_the_nuclei_are_those_of_segment(client, nuclei):
    instanseg = client("nuclei_he_free")
    expected = nuclei.labels.astype(np.int64)
    labels = found(instanseg, immunohistochemistry(), normalise=False)
    assert f1(expected, labels) >= 0.98
    assert f1(expected, labels[::-1]) < 0.3  # the control


def test_the_client_resamples_to_the_pixel_size(client):
    instanseg = client("nuclei_he_free")
    assert instanseg.instanseg.pixel_size == 0.25
    half = immunohistochemistry()[:128, :128]  # as if of 0.5 µm per pixel
    tensor = torch.from_numpy(half.astype(np.float32)).permute(2, 0, 1)[None]
    enlarged = torch.nn.functional.interpolate(tensor, scale_factor=2, mode="bilinear")[0].permute(1, 2, 0).numpy()
    expected = found(instanseg, enlarged, normalise=False, pixel_size=0.25)[::2, ::2]
    resampled, as_it_is = (found(instanseg, half, normalise=False, pixel_size=size) for size in (0.5, 0.25))
    assert f1(expected, resampled) >= 0.95
    assert f1(expected, as_it_is) < 0.85 and f1(expected, resampled[::-1]) < 0.3  # the controls
    assert abs(area(resampled) / area(expected) - 1) < 0.05 < abs(area(as_it_is) / area(expected) - 1)


def area(labels: np.ndarray) -> float:
    """Return the median area of the nuclei in pixels."""
    return float(np.median(np.unique(labels[labels > 0], return_counts=True)[1]))


def test_tiles_are_joined_by_the_client(client):
    tensor = torch.from_numpy(immunohistochemistry()[:256, :300].astype(np.float32)).permute(2, 0, 1)
    options = {"normalise": False, "pixel_size": 0.25, "return_image_tensor": False}
    whole, tiled = (
        client("nuclei_he_free").eval_medium_image(tensor, tile_size=side, **options) for side in (300, 232)
    )
    assert whole.shape == tiled.shape == (1, 1, 256, 300)
    assert f1(whole[0, 0].numpy().astype(np.int64), tiled[0, 0].numpy().astype(np.int64)) > 0.7


def test_a_tile_of_any_size_and_without_nuclei(exported):
    model = torch.jit.load(exported("nuclei_he_free") / "instanseg.pt")
    for size in ((1, 1), (1, 40), (33, 70)):
        labels, table = model(torch.ones(1, 3, *size))
        assert labels.shape == (1, 1, *size) and labels.max() == 0 and torch.equal(table, torch.zeros(1, 1, 2))
    labels, table = model(example(exported))
    assert labels.max() == len(table[0]) == 3 and ((table[..., 0] > 0.65) & (table[..., 1] >= 1)).all()
    assert model(example(exported), torch.tensor([1], dtype=torch.int32))[0].equal(labels)  # as QuPath names outputs
    assert model(example(exported), {"min_size": torch.tensor(10_000)})[0].max() == 0
    both, tables = model(torch.cat([example(exported), torch.ones(1, 3, 96, 96)]))
    assert both[:1].equal(labels) and both[1].max() == 0 and tables.shape == (2, 3, 2)


def example(exported) -> torch.Tensor:
    return torch.from_numpy(np.load(exported("nuclei_he_free") / "test_input.npy"))


@pytest.mark.parametrize(("name", "channels"), [("nuclei_he_free", 2), ("nuclei_fluorescence", 3)])
def test_other_channels_are_refused(name, channels, exported):
    model = torch.jit.load(exported(name) / "instanseg.pt")
    with pytest.raises(torch.jit.Error, match=rf"model {name} takes images of . channel.*got \[1, {channels}, 8, 8\]"):
        model(torch.rand(1, channels, 8, 8))
    with pytest.raises(torch.jit.Error, match="takes the arguments min_size and target_segmentation, not seed_thresho"):
        model(torch.rand(1, 4 - channels, 8, 8), {"seed_threshold": torch.tensor(0.5)})


@pytest.mark.parametrize(
    ("name", "licence", "size"), [("nuclei_he_free", "CC-BY-4.0", 0.25), ("nuclei_fluorescence", "CC0-1.0", 0.5)]
)
def test_the_description_is_valid_and_says_the_licence(name, licence, size, exported):
    folder = exported(name)
    summary = bioimageio.spec.load_description(folder / "rdf.yaml").validation_summary
    errors = [error.msg for part in summary.details for error in part.errors]
    # The extension takes the names of measurements from `values`, which the format has for whole numbers alone.
    assert all("float32' does not match described outputs[detection_logits].dtype 'uint8'" in text for text in errors)
    content = json.loads((folder / "rdf.yaml").read_text())
    metadata = json.loads((ROOT / "bundle" / "configs" / "metadata.json").read_text())
    assert content["authors"] == [{"name": metadata["authors"]}] and content["version"] == metadata["version"]
    assert [paper["text"] for paper in content["cite"]] == metadata["references"]
    assert content["license"] == licence and content["weights"]["torchscript"]["source"] == "instanseg.pt"
    assert content["config"]["qupath"]["axes"][0]["step"] == size
    assert {axis["scale"] for axis in content["inputs"][0]["axes"][2:]} == {size}
    assert content["outputs"][1]["data"]["values"] == ["confidence", "scale group"]
    assert licence.split("-")[0] in (folder / f"{name}_README.md").read_text()


@pytest.mark.data
@pytest.mark.parametrize("name", ["nuclei_he_free", "nuclei_he"])
def test_stained_images_of_two_laboratories(name, client, data_dir):
    monuseg = data_dir / "monuseg" / "MoNuSeg 2018 Training Data" / "Tissue Images" / "TCGA-G9-6348-01Z-00-DX1.tif"
    tnbc = data_dir / "tnbc" / "images"
    images = [imread(monuseg)[300:700, 300:700, :3], *(imread(tnbc / f"{n}.png")[..., :3] for n in ("01_1", "04_1"))]
    for pixels in images:
        expected = segment(np.ascontiguousarray(pixels), model=name).labels.astype(np.int64)
        assert f1(expected, found(client(name), pixels, normalise=False)) >= 0.98
        assert f1(expected, found(client(name), pixels)) >= 0.85  # the client's scaling changes the colours


@pytest.mark.data
def test_fluorescence(client, data_dir):
    folder = data_dir / "dsb2018"
    with (folder / "kinds.csv").open() as kinds:
        names = [row["id"] for row in csv.DictReader(kinds) if row["kind"] == "fluorescence"][:8:8]
    images = [tifffile.imread(sorted((data_dir / "bbbc039" / "images").iterdir())[0])[:300, :400]]
    with tarfile.open(folder / "stage1_train_subset.tar.gz") as archive:
        for name in names:
            content = archive.extractfile(f"stage1_train/{name}/images/{name}.png").read()
            images.append(imread(io.BytesIO(content))[..., 0])
    for pixels in images:
        expected = segment(pixels, model="nuclei_fluorescence").labels.astype(np.int64)
        assert f1(expected, found(client("nuclei_fluorescence"), pixels, normalise=False)) >= 0.98
        assert f1(expected, found(client("nuclei_fluorescence"), pixels)) >= 0.95


def test_mistakes_are_one_line(exported, refused, tmp_path):
    command = ["export", "--format", "instanseg", "-o", str(exported("nuclei_he_free"))]
    refused(main(command), "nuclei_he_free: exists already; give another folder or --overwrite")
    (exported("nuclei_he_free") / "mine.tif").touch()
    refused(main([*command, "--overwrite"]), "mine.tif: no file of this format, so the folder is not replaced")
    (exported("nuclei_he_free") / "mine.tif").unlink()
    assert (exported("nuclei_he_free") / "instanseg.pt").is_file()
    plain = [
        "--network",
        "plain_unet",
        "--checkpoint",
        "bundle/models/plain_unet.pt",
        "--licence",
        "CC0-1.0",
        "-o",
        str(tmp_path / "plain"),
    ]
    refused(main([*command, *plain]), "PlainUNet gives no directions to the centres, by which this format separates")
    (tmp_path / "file").touch()
    refused(main([*command[:-1], str(tmp_path / "file")]), "file: a file; give the name of a folder")
    assert not (tmp_path / "plain").exists()
