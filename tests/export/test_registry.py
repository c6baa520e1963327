"""Networks in MLflow's Model Registry."""

import os
import shutil

import mlflow
import numpy as np
import pytest
import torch

from monai_seunet.export.registry import register_network
from monai_seunet.fusion import fuse
from monai_seunet.networks import EquivariantUNet, SEUNet

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("network", "fusion", "versions"),
    [
        (SEUNet(width=4, num_octaves=2, scales_per_octave=1, num_levels=2), "p_conf", 1),
        (EquivariantUNet(3, 2, 8, num_levels=2), "p_ens", 2),
    ],
)
def test_a_registered_network_predicts_the_same_at_every_size(
    network, fusion, versions, empty_store, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    uri, before = f"sqlite:///{shutil.copy(empty_store, tmp_path)}", mlflow.get_tracking_uri()
    network = network.eval()
    example = np.random.default_rng(0).random((2, 3, 64, 96), dtype=np.float32)
    for version in range(1, versions + 1):
        assert register_network(network, fusion, example, "nuclei", uri, tags={"licence": "CC0"}) == version
    assert mlflow.get_tracking_uri() == before and "MLFLOW_TRACKING_URI" not in os.environ
    client = mlflow.MlflowClient(uri)
    assert client.get_model_version("nuclei", str(versions)).tags["licence"] == "CC0"
    try:
        mlflow.set_tracking_uri(uri)
        loaded = mlflow.pytorch.load_model(f"models:/nuclei/{versions}")
        generic = mlflow.pyfunc.load_model(f"models:/nuclei/{versions}")
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop("MLFLOW_TRACKING_URI")
    assert not list(tmp_path.rglob("*.pth")), "no pickle"
    assert not list((tmp_path / "elsewhere").iterdir()), "files lie beside the store"
    stride = network.stride
    for shape in ((1, 3, 2 * stride, 3 * stride), (3, 3, 4 * stride, 2 * stride)):
        image = torch.rand(shape)
        with torch.no_grad():
            heads = getattr(network, "heads", network)(image)
            wanted = fuse(heads.softmax(2), fusion) if heads.dim() == 5 else heads.softmax(1)
            assert torch.allclose(loaded(image), wanted, atol=1e-5)
        assert np.allclose(generic.predict(image.numpy()), wanted.numpy(), atol=1e-5)
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"[Ss]hape|schema"):
        generic.predict(np.zeros((1, 4, 64, 64), np.float32))
