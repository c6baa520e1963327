"""How sure the scale groups of a network are of an image, whatever else the network gives."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from dark_slides import DarkNetwork, draw, segmenter

from monai_seunet.networks import SEUNet
from monai_seunet.utils.errors import InputError

strategies = pytest.importorskip("monai_seunet.label_app.training.strategies")


def test_directions_say_nothing_of_disagreement(tmp_path):
    torch.manual_seed(0)
    directed = SEUNet(width=40, num_levels=2, directions=True).eval()
    plain = SEUNet(width=40, num_levels=2).eval()
    with torch.no_grad():
        directed.head.weight[:2] *= 20
        directed.head.bias[:2] = torch.tensor([0.0, 0.3])
        directed.head.weight[2:] *= 20
    weights = {name: value for name, value in directed.state_dict().items() if not name.startswith("head")}
    head = {name: value[:2] for name, value in directed.state_dict().items() if name.startswith("head")}
    plain.load_state_dict(weights | head)
    pixels = np.random.default_rng(0).integers(30, 200, (300, 300, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    directed, plain = (segmenter(network, tissue="all") for network in (directed, plain))
    found = strategies.most_disagreed(tmp_path / "a.tif", directed)
    assert found["disagreement"] > 0 and found == strategies.most_disagreed(tmp_path / "a.tif", plain)


class FullNetwork(DarkNetwork):
    def outputs(self, x):
        raise RuntimeError("out of memory")


def test_the_log_shows_why_an_image_failed(tmp_path, caplog):
    path = draw(tmp_path / "a.tif")
    workspace = SimpleNamespace(cache=tmp_path)
    model = SimpleNamespace(segmenter=segmenter(FullNetwork()), busy=threading.Lock(), workspace=workspace)
    images = SimpleNamespace(get_unlabeled_images=lambda: ["a"], get_image_uri=lambda _: str(path))
    with pytest.raises(InputError, match=r"a\.tif: out of memory") as raised:
        strategies.Disagreement(model)({}, images)
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert "a.tif" in caplog.text and "RuntimeError: out of memory" in caplog.text and "Traceback" in caplog.text
