"""MONAI Label's own app for bundles serves the bundle, too."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from conftest import BUNDLE, NETWORK, WIDTH, dice, save_png, wait_until
from monai.bundle import ConfigParser

from monai_seunet.config.read import read_config
from monai_seunet.reading.raster import read_raster

STARTER = Path(__file__).with_name("stock_app.py")
APP = Path(sys.prefix) / "monailabel" / "sample-apps" / "monaibundle"


@pytest.fixture
def url(crops, weights, tmp_path):
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(STARTER), "start_server", "--app", str(app), "--studies", str(studies)]
    for key, value in {"models": "bundle", "zoo_source": "local", "sam2": "false"}.items():
        command += ["--conf", key, value]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=tmp_path,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: is_up(url), 120, log)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def is_up(url):
    try:
        return requests.get(f"{url}/info/", timeout=10).ok
    except requests.ConnectionError:
        return False


@pytest.mark.slow
def test_masks_are_those_of_our_app(url, server, crops, tmp_path):
    for number in range(2):  # nothing that the first one left is in the way
        data = {"params": '{"device": "cpu", "result_extension": ".png"}'}
        answer = requests.post(f"{url}/infer/bundle?image=crop&output=image", data=data, timeout=300)
        assert answer.status_code == 200, answer.text
        (tmp_path / f"{number}.png").write_bytes(answer.content)
    ours = read_raster(server.client.infer("nuclei", crops[3].name, {"min_area": 0})[0]).pixels > 0
    assert dice(read_raster(tmp_path / "1.png").pixels > 0, ours) > 0.97
