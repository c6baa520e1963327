"""A server on real images, with a network that was trained for a minute."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests
import tifffile
from dark_slides import segmenter
from monailabel.client import MONAILabelClient
from numpy.typing import ArrayLike
from PIL import Image
from repository import BUNDLE, CONFIGS
from skimage.draw import polygon as fill_polygon

from monai_seunet.data.outlines import draw_instances
from monai_seunet.label_app.training.training_set import make_training_set
from monai_seunet.reading.annotations import read_annotations
from monai_seunet.reading.raster import read_raster
from monai_seunet.writers.raster import write_raster

NETWORK, WIDTH, MPP = "seunet_octaves", 12, 0.25
SIDE = 384
TO_LABEL, OTHERS = 6, 2


@dataclass(frozen=True)
class Crop:
    """A piece of a MoNuSeg image, 0.25 µm a pixel, with its nuclei."""

    name: str
    pixels: np.ndarray
    instances: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        return (self.instances > 0).astype(np.uint8)


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen
    url: str
    folder: Path
    log: Path

    @property
    def client(self) -> MONAILabelClient:
        return MONAILabelClient(self.url)

    @property
    def workspace(self) -> Path:
        return self.folder / ".seunet"

    def get(self, path: str, **options) -> requests.Response:
        return requests.get(self.url + path, timeout=120, **options)

    def post(self, path: str, **options) -> requests.Response:
        return requests.post(self.url + path, timeout=600, **options)

    def put(self, path: str, **options) -> requests.Response:
        return requests.put(self.url + path, timeout=120, **options)

    def put_image(self, image: str, content: bytes, name: str = "x.png", **options) -> requests.Response:
        return self.put("/datastore/image", params={"image": image}, files={"file": (name, content)}, **options)

    def put_label(self, image: str, content: bytes, name: str = "l.png", **options) -> requests.Response:
        return self.put("/datastore/label", params={"image": image}, files={"label": (name, content)}, **options)

    def final_label(self, image: str) -> requests.Response:
        return self.get(f"/datastore/label?label={image}&tag=final")


@pytest.fixture(scope="session")
def crops(data_dir) -> list[Crop]:
    """Of ten images of several patients."""
    folder, found = data_dir / "monuseg" / "MoNuSeg 2018 Training Data", []
    for xml in sorted((folder / "Annotations").glob("*.xml")):
        image = folder / "Tissue Images" / f"{xml.stem}.tif"
        if image.exists():
            pixels = read_raster(image).pixels
            instances = draw_instances(read_annotations(xml).annotations, pixels.shape[:2]).label
            part = slice(300, 300 + SIDE), slice(300, 300 + SIDE)
            found.append(Crop(xml.stem, pixels[part], instances[part]))
    assert len(found) >= 2 + TO_LABEL + OTHERS
    return found[: 2 + TO_LABEL + OTHERS]


def save_png(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path, dpi=(25_400 / MPP, 25_400 / MPP))
    return path


@pytest.fixture(scope="session")
def weights(crops, tmp_path_factory) -> Path:
    """Of a training of some seconds on two crops: nuclei are found, and there is much left to learn."""
    folder = tmp_path_factory.mktemp("weights")
    items = []
    for number, crop in enumerate(crops[:2]):
        image = save_png(folder / f"{number}.png", crop.pixels)
        label = write_raster(folder / f"{number}_label.png", crop.mask)
        items.append({"image": str(image), "label": str(label)})
    make_training_set(items, segmenter(network_mpp=MPP), folder / "data")
    configs = [str(CONFIGS / name) for name in ("train.json", f"networks/{NETWORK}.json")]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(configs)]
    options = {"bundle_root": BUNDLE, "dataset_dir": folder / "data", "ckpt_dir": folder, "output_dir": folder}
    options |= {"width": WIDTH, "epochs": 60, "crop_size": 128, "tile_size": 256, "tile_stride": 128, "batch_size": 4}
    options |= {"max_lr": 0.01, "val_interval": 20, "threads": 1}
    command += [f"--{key}={value}" for key, value in options.items()]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return folder / "model.pt"


@contextmanager
def serving(folder: Path, weights: Path, *options: str) -> Iterator[Server]:
    """Start a server as `scripts/label.sh` does, and stop it."""
    command = [sys.executable, "-m", "monai_seunet.label_app", str(folder), "--width", str(WIDTH)]
    command += ["--network", NETWORK, "--checkpoint", str(weights), "--set", "threads=1", *options]
    with started(command, folder) as server:
        yield server


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[Server]:
    """Start a server of a folder at a free port, wait until it answers, and kill it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder.parent / f"{folder.name}-{port}.log"
    options = {"stderr": subprocess.STDOUT, "start_new_session": True, "cwd": folder.parent}
    with log.open("w") as file:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=file, **options)
    server = Server(process, f"http://127.0.0.1:{port}", folder, log)
    try:
        wait_until(lambda: answers(server), 120, log)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()[-3000:]
    try:
        return server.get("/info/").ok
    except requests.ConnectionError:
        return False


def wait_until(condition, patience: float, log: Path | None = None) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, log.read_text()[-3000:] if log else "waited in vain"
        time.sleep(0.5)


@pytest.fixture(scope="session")
def images(crops, data_dir, tmp_path_factory) -> Path:
    """A folder as annotators have it: images of several formats, and a slide."""
    folder = tmp_path_factory.mktemp("study") / "images"
    folder.mkdir()
    for crop in crops[2:]:
        save_png(folder / f"{crop.name}.png", crop.pixels)
    first = crops[0].pixels
    Image.fromarray(first).save(folder / "photo.jpg", quality=95)
    write_raster(folder / "volume.nii.gz", first, MPP)
    write_raster(folder / "scan.nrrd", first, MPP)
    save_png(folder / "ünï cödé.png", first)
    size = {"axes": "YXS", "PhysicalSizeX": MPP, "PhysicalSizeY": MPP}
    tifffile.imwrite(folder / "pyramid.ome.tif", first, tile=(128, 128), photometric="rgb", metadata=size)
    (folder / "slide.svs").write_bytes((data_dir / "slides" / "cmu_small_region.svs").read_bytes())
    (folder / "broken.png").write_bytes((folder / "ünï cödé.png").read_bytes()[:2000])
    (folder / "away.png").symlink_to(save_png(folder.parent / "secret.png", first))
    return folder


@pytest.fixture(scope="session")
def server(images, weights) -> Iterator[Server]:
    with serving(images, weights, "--max-upload", "20") as running:
        yield running


@pytest.fixture
def goes_on(server) -> Iterator[None]:
    """Whatever a test did, the server answers after it."""
    yield
    assert server.get("/info/").ok and server.process.poll() is None


def png(pixels: np.ndarray) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def xml(*points: tuple[int, int]) -> bytes:
    """One nucleus in the format of ASAP."""
    places = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(points))
    one = f'<Annotation Name="nucleus" PartOfGroup="nucleus"><Coordinates>{places}</Coordinates></Annotation>'
    return f"<ASAP_Annotations><Annotations>{one}</Annotations></ASAP_Annotations>".encode()


def detail(response: requests.Response) -> str:
    """What the client is told."""
    return json.loads(response.text)["detail"]


def filled(outlines: Sequence[ArrayLike], shape: tuple[int, int]) -> np.ndarray:
    """Mask of outlines of points (x, y)."""
    mask = np.zeros(shape, bool)
    for outline in outlines:
        x, y = np.asarray(outline, float).T
        mask[fill_polygon(y - 0.5, x - 0.5, shape)] = True
    return mask


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / max(1, int(first.sum() + second.sum()))
