"""Another stain by the native kernels: that of the torch form."""

import warnings

import pytest
import torch

from monai_seunet.native.library import library, torch_form
from monai_seunet.transforms.stain.functional import transfer_stains

pytestmark = pytest.mark.skipif(library() is None, reason="no native library for this machine")

SOURCE = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
TARGET = torch.tensor([[0.56, 0.72, 0.41], [0.20, 0.95, 0.24]])
GAIN = torch.tensor([1.2, 0.8])


def transferred(image: torch.Tensor, source: torch.Tensor = SOURCE, penalty: float = 0.01) -> torch.Tensor:
    return transfer_stains(image, source, TARGET, GAIN, penalty)


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (300, 400)])
@pytest.mark.parametrize("penalty", [0.0, 0.01, 0.5])
def test_is_the_torch_form_up_to_rounding(size, penalty):
    image = torch.randint(256, (3, *size), dtype=torch.uint8)
    found = transferred(image, penalty=penalty)
    with torch_form():
        exact = 255 * transferred(image.double() / 255, penalty=penalty)
        by_torch = transferred(image, penalty=penalty)
    assert found.dtype == torch.uint8 and float((found - exact).abs().max()) < 0.5 + 1e-4
    assert float((found != by_torch).double().mean()) < 1e-3
    assert size == (1, 1) or not torch.equal(found, transferred(image, penalty=penalty + 0.1))


def test_stains_that_are_alike_are_left_to_torch():
    image = torch.randint(256, (3, 20, 30), dtype=torch.uint8)
    alike = SOURCE[:1].expand(2, 3)
    with torch_form():
        expected = transferred(image, alike)
    assert torch.equal(transferred(image, alike), expected)


def test_a_traced_transfer_is_that_of_torch():
    image = torch.randint(256, (3, 20, 30), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the checks of shapes, in both forms
        traced = torch.jit.trace(transferred, image, check_trace=False)
    assert torch.equal(traced(image.flip(1)), transferred(image).flip(1))


def test_any_layout_and_any_number_of_threads_give_the_same():
    image = torch.randint(256, (3, 70, 90), dtype=torch.uint8)
    expected = transferred(image)
    apart = torch.zeros(3, 70, 180, dtype=torch.uint8)[:, :, ::2].copy_(image)
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        for other in (image.permute(1, 2, 0).contiguous().permute(2, 0, 1), apart, image.mT.contiguous().mT):
            assert torch.equal(transferred(other), expected)
    assert torch.equal(transferred(image.flatten(1)), expected.flatten(1))


def test_every_colour_is_within_its_range():
    levels = torch.arange(0, 256, 5, dtype=torch.uint8)
    colours = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij")).flatten(1)
    with torch_form():
        expected = transferred(colours).int()
    assert int((transferred(colours).int() - expected).abs().max()) <= 1
