"""Stain normalisation inside an exported network: the transform of the package, in both formats."""

import numpy as np
import onnxruntime
import pytest
import torch
from repository import CONFIGS
from skimage.data import immunohistochemistry

from monai_seunet.export.tile_stain import TileStainNormalization
from monai_seunet.transforms.stain import StainNormalize, StainProfile

TARGET = CONFIGS / "stain_target.json"


@pytest.fixture(scope="module")
def normalize():
    return TileStainNormalization(StainProfile.load(TARGET)).eval()


@pytest.fixture(scope="module")
def image():
    """Stained tissue (1, 3, 512, 512)."""
    return torch.from_numpy(np.moveaxis(immunohistochemistry(), -1, 0).copy())[None] / 255


def test_it_is_the_transform_of_the_package(normalize, image):
    expected = StainNormalize(TARGET)(image[0]).as_tensor()
    assert (normalize(image)[0] - expected).abs().max() < 0.02
    assert (image[0] - expected).abs().mean() > 0.05, "the image has the stains of the target already"


def test_images_of_a_batch_have_stains_of_their_own(normalize, image):
    other = (image**1.3).flip(1)
    both = normalize(torch.cat([image, other]))
    torch.testing.assert_close(both, torch.cat([normalize(image), normalize(other)]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_an_image_without_two_stains_is_kept(normalize, value):
    image = torch.full((1, 3, 96, 96), value)
    assert torch.equal(normalize(image), image)


def test_both_formats_give_the_same_numbers_at_any_size(normalize, image, tmp_path):
    small = torch.rand(1, 3, 64, 64)
    traced = torch.jit.trace(normalize, small, check_trace=False)
    axes = {"image": {0: "batch", 2: "height", 3: "width"}}
    path = str(tmp_path / "stain.onnx")
    torch.onnx.export(
        normalize, (small,), path, dynamo=False, opset_version=18, input_names=["image"], dynamic_axes=axes
    )
    cut = image[..., :300, :421].repeat(2, 1, 1, 1)
    (exported,) = onnxruntime.InferenceSession(path).run(None, {"image": cut.numpy()})
    expected = normalize(cut)
    torch.testing.assert_close(traced(cut), expected, atol=1e-5, rtol=0)
    np.testing.assert_allclose(exported, expected.numpy(), atol=1e-4)
