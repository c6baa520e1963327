import numpy as np
import pytest
import torch
from stain_images import STAINS

from monai_seunet.transforms.stain import functional
from monai_seunet.transforms.stain.functional import concentrations, jitter_stains, optical_density, transfer_stains

TARGET = torch.tensor([[0.70, 0.65, 0.30], [0.10, 0.95, 0.30]], dtype=torch.float64)
ONES, ZEROS = torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)


def random_density(generator: torch.Generator, count: int = 5000) -> torch.Tensor:
    return optical_density(torch.rand(3, count, generator=generator, dtype=torch.float64))


def slope(amount: torch.Tensor, density: torch.Tensor, penalty: float) -> torch.Tensor:
    """Gradient of what `concentrations` minimises; the optimum has slope >= 0, and 0 where the amount is positive."""
    return STAINS @ (STAINS.T @ amount - density) + penalty


@pytest.mark.parametrize("penalty", [0.0, 0.01, 0.1, 1.0])
def test_concentrations_are_the_optimum(generator, penalty):
    density = random_density(generator)
    amount = concentrations(density, STAINS, penalty)
    gradient = slope(amount, density, penalty)
    assert (amount >= 0).all()
    assert gradient.min() > -1e-12
    assert (amount * gradient).abs().max() < 1e-12
    assert ((amount == 0).any(dim=1)).all(), "both boundaries must be part of the test"


def test_clamped_least_squares_is_not_the_optimum(generator):
    density = random_density(generator)
    clamped = (torch.linalg.pinv(STAINS.T) @ density).clamp(min=0)
    assert (clamped * slope(clamped, density, 0.0)).abs().max() > 0.1


@pytest.mark.parametrize("penalty", [0.01, 0.1, 1.0])
def test_concentrations_equal_spams(generator, penalty):
    spams = pytest.importorskip("spams", reason="the reference solver: pip install spams-bin==2.6.14")
    density = random_density(generator)
    stains = np.asfortranarray(STAINS.T.numpy())
    options = {"mode": 2, "lambda1": penalty, "pos": True, "numThreads": 1}
    expected = spams.lasso(np.asfortranarray(density.numpy()), D=stains, **options)
    found = concentrations(density, STAINS, penalty)
    assert np.abs(found.numpy() - expected.toarray()).max() < 1e-7


def test_parallel_stains_give_finite_concentrations(generator):
    amount = concentrations(random_density(generator), STAINS[[0, 0]], 0.01)
    assert amount.isfinite().all() and amount.max() < 20


@pytest.mark.parametrize(
    ("matrix", "message"),
    [(torch.ones(3, 2), r"\(2, 3\)"), (torch.tensor([[1.0, 0, 0], [-0.5, 0.8, 0]]), "obtuse angle")],
)
def test_wrong_matrix_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        concentrations(torch.ones(3, 4), matrix, 0.01)


def test_tissue_is_what_scikit_image_calls_dark(generator):
    from skimage.color import rgb2lab

    image = torch.randint(0, 256, (3, 200, 200), generator=generator).to(torch.uint8)
    lightness = rgb2lab(image.permute(1, 2, 0).numpy())[..., 0]
    clear = abs(lightness - functional.TISSUE_LIGHTNESS) > 0.01
    expected = lightness < functional.TISSUE_LIGHTNESS
    assert (functional.tissue_mask(image).numpy() == expected)[clear].all()
    assert 0.1 < expected.mean() < 0.9


def test_transfer_in_the_plane_of_the_stains_is_exact(generator):
    amount = 2 * torch.rand(2, 40, 30, generator=generator, dtype=torch.float64)
    gain = torch.tensor([1.3, 0.6], dtype=torch.float64)
    image = torch.einsum("sc,shw->chw", STAINS, amount).neg().exp()
    expected = torch.einsum("sc,shw->chw", TARGET, gain.reshape(2, 1, 1) * amount).neg().exp()
    result = transfer_stains(image, STAINS, TARGET, gain, penalty=0.0)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(transfer_stains(image, STAINS, STAINS, ONES, 0.0), image, rtol=0, atol=1e-12)
    assert (result - image).abs().max() > 0.1


def test_transfer_rounds_to_the_nearest_level(he_image):
    exact = 255 * transfer_stains(he_image.double() / 255, STAINS, TARGET, ONES, 0.01)
    levels = transfer_stains(he_image, STAINS, TARGET, ONES, 0.01).double()
    assert (levels - exact).abs().max() < 0.501
    assert abs((levels - exact).mean()) < 0.02
    assert abs((exact.floor() - exact).mean()) > 0.2, "truncation would show"


def test_white_stays_white():
    white = torch.full((3, 5, 7), 255, dtype=torch.uint8)
    assert torch.equal(transfer_stains(white, STAINS, TARGET, 3 * ONES, 0.01), white)


@pytest.mark.parametrize("block", [1, 1000, 100_000])
def test_blocks_do_not_show(he_image, block, monkeypatch):
    image = he_image[:, :20, :30].double() / 255
    whole = transfer_stains(image, STAINS, TARGET, ONES, 0.01)
    monkeypatch.setattr(functional, "BLOCK", block)
    torch.testing.assert_close(transfer_stains(image, STAINS, TARGET, ONES, 0.01), whole, rtol=0, atol=1e-12)


def test_strided_images_are_read_in_order(he_image):
    turned = he_image.transpose(1, 2)
    expected = transfer_stains(he_image, STAINS, TARGET, ONES, 0.01).transpose(1, 2)
    assert torch.equal(transfer_stains(turned, STAINS, TARGET, ONES, 0.01), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.float64])
def test_type_is_kept(he_image, dtype):
    image = he_image if dtype == torch.uint8 else (he_image.double() / 255).to(dtype)
    reference = transfer_stains(he_image.double() / 255, STAINS, TARGET, ONES, 0.01)
    result = transfer_stains(image, STAINS, TARGET, ONES, 0.01)
    assert result.dtype == dtype
    scale = 255 if dtype == torch.uint8 else 1
    assert (result.double() / scale - reference).abs().max() < 5e-3


def test_jitter_by_nothing_is_the_identity(generator):
    image = torch.randint(0, 256, (3, 50, 50), generator=generator).to(torch.uint8)
    assert torch.equal(jitter_stains(image, STAINS, ONES, ZEROS, 0.01), image)
    assert not torch.equal(jitter_stains(image, STAINS, 1.1 * ONES, ZEROS, 0.01), image)


def test_jitter_scales_and_shifts_the_concentrations(generator):
    amount = 0.5 + torch.rand(2, 500, generator=generator, dtype=torch.float64)
    image = (STAINS.T @ amount).neg().exp()
    scale, shift = torch.tensor([1.2, 0.7], dtype=torch.float64), torch.tensor([-0.1, 0.2], dtype=torch.float64)
    changed = jitter_stains(image, STAINS, scale, shift, 0.0)
    found = concentrations(optical_density(changed), STAINS, 0.0)
    torch.testing.assert_close(found, scale.reshape(2, 1) * amount + shift.reshape(2, 1), rtol=0, atol=1e-10)


def test_jitter_takes_no_more_than_there_is():
    white = torch.full((3, 4, 4), 255, dtype=torch.uint8)
    assert torch.equal(jitter_stains(white, STAINS, ONES, -ONES, 0.01), white)
