"""MONAI Label's own app for bundles serves the bundle, too."""

import shutil
import sys
from pathlib import Path

import pytest
from conftest import BUNDLE, NETWORK, WIDTH, dice, save_png, started
from monai.bundle import ConfigParser

from monai_seunet.config.read import read_config
from monai_seunet.reading.raster import read_raster

STARTER = Path(__file__).with_name("stock_app.py")
APP = Path(sys.prefix) / "monailabel" / "sample-apps" / "monaibundle"


@pytest.fixture
def stock(crops, weights, tmp_path):
    """A server of the bundle with the overlay written into its config: the app reads no overlays."""
    app, studies = tmp_path / "app", tmp_path / "images"
    shutil.copytree(APP, app)
    shutil.copytree(BUNDLE / "configs", app / "model" / "bundle" / "configs")
    config = read_config(BUNDLE, NETWORK, WIDTH).get()
    config["bundle_root"] = "bundle"
    ConfigParser.export_config_file(config, str(app / "model" / "bundle" / "configs" / "inference.json"), indent=1)
    (app / "model" / "bundle" / "models").mkdir()
    shutil.copy(weights, app / "model" / "bundle" / "models" / "model.pt")
    studies.mkdir()
    save_png(studies / "crop.png", crops[3].pixels)
    command = [sys.executable, str(STARTER), "start_server", "--app", str(app), "--studies", str(studies)]
    for key, value in {"models": "bundle", "zoo_source": "local", "sam2": "false"}.items():
        command += ["--conf", key, value]
    with started([*command, "--host", "127.0.0.1"], studies) as server:
        yield server


@pytest.mark.slow
def test_masks_are_those_of_our_app(stock, server, crops, tmp_path):
    for number in range(2):  # nothing that the first one left is in the way
        data = {"params": '{"device": "cpu", "result_extension": ".png"}'}
        answer = stock.post("/infer/bundle?image=crop&output=image", data=data)
        assert answer.status_code == 200, answer.text
        (tmp_path / f"{number}.png").write_bytes(answer.content)
    ours = read_raster(server.client.infer("nuclei", crops[3].name, {"min_area": 0})[0]).pixels > 0
    assert dice(read_raster(tmp_path / "1.png").pixels > 0, ours) > 0.97
