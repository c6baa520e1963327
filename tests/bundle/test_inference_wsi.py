"""The bundle for slides: `inference_wsi.json` through MONAI and through the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from repository import BUNDLE, CONFIGS
from workflows import infer, lively, monai_command

from monai_seunet.cli import main
from monai_seunet.networks import SEUNet
from monai_seunet.reading.raster import read_raster
from monai_seunet.slides.outputs.zarr_pyramid import open_maps
from monai_seunet.transforms.stain import HaematoxylinDensity
from monai_seunet.writers import write_raster

SIDE = 128


def tissue(side: int = SIDE) -> np.ndarray:
    """Pink tissue with violet nuclei, which has a stain to normalise."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), (225, 160, 195)) + draw.normal(0, 9, (side, side, 1))
    for row, column in draw.uniform(10, side - 10, (25, 2)):
        inside = (y - row) ** 2 + (x - column) ** 2 < 36
        pixels[inside] = draw.normal((95, 60, 140), 9, (inside.sum(), 3))
    return pixels.clip(0, 255).astype(np.uint8)


def write_weights(path: Path, image: torch.Tensor) -> Path:
    """Weights that distinguish the pixels of an image (C, H, W)."""
    network = SEUNet(width=12, num_octaves=3, scales_per_octave=2, in_channels=len(image))
    torch.save(lively(network, image).state_dict(), path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights for RGB images."""
    return write_weights(tmp_path / "model.pt", torch.from_numpy(tissue()).movedim(2, 0) / 255)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"stain": False, "standardise": True}, {"stain": False}, {"haematoxylin": True}]
)
def test_slides_and_images_get_the_same_probabilities(tmp_path, checkpoint, options):
    """One window each, so what differs would be the preparation, the fusion or the rounding."""
    write_raster(tmp_path / "a.png", tissue(), 0.25)
    if "haematoxylin" in options:
        density = HaematoxylinDensity()(torch.from_numpy(tissue()).movedim(2, 0))
        write_weights(checkpoint, (density - density.mean()) / density.std())
    shared = {"checkpoint": checkpoint, "width": 12, "stain_target": CONFIGS / "stain_target.json", **options}
    infer("inference", image=tmp_path / "a.png", output_dir=tmp_path / "image", **shared)
    whole = {"tissue": "all", "workers": 0, "formats": ["maps"]}
    infer("inference_wsi", slides=tmp_path / "a.png", output_dir=tmp_path / "slide", **whole, **shared)
    image = read_raster(tmp_path / "image" / "a_probability.tif").pixels
    slide = np.asarray(open_maps(tmp_path / "slide" / "a" / "maps.ome.zarr", "r").probability[0]) / 255
    assert image.std() > 0.05, "the network distinguishes pixels, so agreement means something"
    np.testing.assert_allclose(slide, image, atol=0.51 / 255)


@pytest.mark.slow
def test_both_ways_to_run_it_write_the_same(tmp_path, checkpoint):
    write_raster(tmp_path / "a.png", tissue(), 0.25)
    shared = ["--checkpoint", checkpoint, "--width", 12, "--workers", 0]
    words = ["--config_file", CONFIGS / "inference_wsi.json", "--bundle_root", BUNDLE, "--slides", tmp_path / "a.png"]
    done = monai_command(*words, "--output_dir", tmp_path / "one", *shared, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    words = ["segment", tmp_path / "a.png", "-o", tmp_path / "two", "--bundle", BUNDLE, "--network", "seunet_octaves"]
    assert main([*map(str, [*words, *shared])]) == 0
    one, two = (json.loads((tmp_path / folder / "a" / "result.json").read_text()) for folder in ("one", "two"))
    assert one["plan"] == two["plan"] and one["objects"] == two["objects"]
    assert "0.25 µm per pixel (file)" in one["resolution"]
    for name in ("objects.csv", "objects.geojson"):
        assert (tmp_path / "one" / "a" / name).read_bytes() == (tmp_path / "two" / "a" / name).read_bytes()


@pytest.mark.slow
def test_a_slide_that_cannot_be_read_is_one_line(tmp_path, checkpoint):
    (tmp_path / "a.svs").write_bytes(b"no slide")
    words = ["--config_file", CONFIGS / "inference_wsi.json", "--bundle_root", BUNDLE, "--slides", tmp_path / "a.svs"]
    words += ["--output_dir", tmp_path / "out", "--checkpoint", checkpoint, "--width", 12]
    done = monai_command(*words, cwd=tmp_path)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "a.svs" in done.stderr.strip().splitlines()[-1]
