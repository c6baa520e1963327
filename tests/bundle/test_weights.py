"""The weights in the bundle: they load by default, export, are described, and find nuclei at several scales."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from repository import BUNDLE
from scipy.io import loadmat
from skimage.io import imread, imsave

from monai_seunet.certificate.subject import read_images
from monai_seunet.config.read import content, read_config, trained_network
from monai_seunet.export.write import export_network
from monai_seunet.fusion import fuse
from monai_seunet.transforms.spatial.functional import resample

MODELS = BUNDLE / "models"
FLUORESCENCE = "10ba6cbee4873b32d5626a118a339832ba2b15d8643f66dddcd7cb2ec80fbc28"  # in the validation section
DESCRIBED = {  # overlay of the network, and of the weights where they have one
    "model.pt": ("seunet_octaves", []),
    "plain_unet.pt": ("plain_unet", []),
    "nuclei_he_free.pt": ("seunet_octaves", ["weights/nuclei_he_free"]),
    "nuclei_fluorescence.pt": ("seunet_octaves", ["weights/nuclei_fluorescence"]),
}


@pytest.fixture(scope="module")
def loaded():
    """Config and network of every file."""
    found = {}
    for file, (network, overlays) in DESCRIBED.items():
        config = read_config(BUNDLE, network, overlays=overlays)
        found[file] = config, trained_network(config, MODELS / file)[0]
    return found


def iou(found, truth):
    return float((found & truth).sum() / (found | truth).sum())


def test_every_file_is_described_and_all_are_small():
    files = sorted(path.name for path in MODELS.glob("*.pt"))
    card = (MODELS / "README.md").read_text(encoding="utf-8")
    assert files == sorted(DESCRIBED)
    for file in files:
        assert f"`{file}`" in card
    assert "CC BY-NC-SA 4.0" in card and "CC0" in card
    assert sum(path.stat().st_size for path in MODELS.rglob("*")) < 25 * 2**20


def test_the_default_config_takes_the_default_weights(loaded):
    default = read_config(BUNDLE, "seunet_octaves")
    assert Path(content(default, "checkpoint")).name == "model.pt"
    _, network = loaded["model.pt"]
    assert sum(p.numel() for p in network.parameters()) == 159_688


@pytest.mark.parametrize("file", sorted(DESCRIBED))
def test_the_exported_form_gives_the_same(loaded, file, tmp_path):
    config, network = loaded[file]
    assert export_network(network, tmp_path / "network.ts", content(config, "fusion")) < 1e-4


def test_nuclei_of_a_strange_image_are_found_at_several_scales(loaded, data_dir):
    truth = torch.from_numpy(loadmat(data_dir / "cellseg" / "masks" / "patch3.mat")["inst_map"] > 0)[None]
    scores = {}
    for file in ("model.pt", "plain_unet.pt", "nuclei_he_free.pt"):
        config, network = loaded[file]
        _, (image,) = read_images(config, data_dir / "cellseg" / "imgs" / "patch3.png", 1, 64)
        for scale in (0.5, 1, 2):
            size = [round(scale * side) for side in image.shape[1:]]
            with torch.no_grad():
                logits = getattr(network, "heads", network)(resample(image, size, "bilinear")[None])
            groups = logits if logits.dim() == 5 else logits[:, None]
            found = fuse(groups.softmax(2), content(config, "fusion"))[0].argmax(0, keepdim=True) == 1
            scores[file, scale] = iou(found, resample(truth.float(), size, "nearest") > 0)
    assert scores["model.pt", 1] > 0.7 and scores["nuclei_he_free.pt", 1] > 0.6
    assert scores["model.pt", 2] > scores["plain_unet.pt", 2] + 0.2
    assert scores["model.pt", 0.5] > scores["plain_unet.pt", 0.5]


def test_nuclei_of_a_fluorescence_image_of_validation_are_found(loaded, data_dir, tmp_path):
    files = {}
    with tarfile.open(data_dir / "dsb2018" / "stage1_train_subset.tar.gz") as archive:
        for member in archive:
            if FLUORESCENCE in member.name and member.isfile():
                files[Path(member.name).parts[-2], member.name] = imread(archive.extractfile(member))
    (image,) = (pixels for (kind, _), pixels in files.items() if kind == "images")
    truth = np.any([pixels > 0 for (kind, _), pixels in files.items() if kind == "masks"], axis=0)
    imsave(tmp_path / "image.png", image[..., 0])
    config, network = loaded["nuclei_fluorescence.pt"]
    _, (tensor,) = read_images(config, tmp_path / "image.png", 1, 64)
    with torch.no_grad():
        found = network(tensor[None])[0].argmax(0).numpy() == 1
    assert iou(found, truth[: found.shape[0], : found.shape[1]]) > 0.75


@pytest.mark.parametrize("name", ["nuclei_fluorescence", "nuclei_he_free"])
def test_the_overlay_of_weights_names_them(name):
    for job in ("inference", "inference_wsi"):
        config = read_config(BUNDLE, "seunet_octaves", overlays=[f"weights/{name}"], job=job)
        assert Path(content(config, "checkpoint")) == MODELS / f"{name}.pt"
        trained_network(config)
    assert content(config, "network_mpp") == {"nuclei_fluorescence": None, "nuclei_he_free": 0.25}[name]
