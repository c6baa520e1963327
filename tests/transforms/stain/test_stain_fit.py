import math
import sys

import numpy as np
import pytest
import torch
from stain_images import STAINS, degrees_apart, make_he

from monai_seunet.transforms.stain import NoTissueError, StainToolsExtractor, Vahadane, cached_profile, fit, fit_profile
from monai_seunet.transforms.stain.extractors import make_extractor, weighted_percentile
from monai_seunet.transforms.stain.fit import gather_tissue
from monai_seunet.transforms.stain.functional import concentrations, optical_density
from monai_seunet.utils.errors import InputError

NATIVE = ["vahadane", "macenko"]


def cost(matrix: np.ndarray, density: torch.Tensor, penalty: float = 0.1) -> float:
    """What Vahadane's stains minimise."""
    stains = torch.from_numpy(matrix)
    amount = concentrations(density, stains, penalty)
    return float(0.5 * (density - stains.T @ amount).square().sum() + penalty * amount.sum())


@pytest.mark.parametrize("method", NATIVE)
def test_known_stains_are_found(method):
    profile = fit_profile([make_he(192)], method)
    assert degrees_apart(profile.matrix, STAINS) < 4
    assert degrees_apart(profile.matrix[::-1], STAINS) > 10, "the order of the stains matters"
    assert profile.method == method and profile.max_concentrations[0] == pytest.approx(1.8, abs=0.4)


def test_vahadane_finds_the_minimum_over_all_pixels(he_image):
    matrix = Vahadane()(*gather_tissue([he_image], 6))
    density, _ = gather_tissue([he_image], None)
    best = cost(matrix, density)
    random = np.random.default_rng(0)
    for _ in range(30):
        moved = np.maximum(matrix + 0.03 * random.standard_normal((2, 3)), 0)
        assert cost(moved / np.linalg.norm(moved, axis=1, keepdims=True), density) > best


@pytest.mark.parametrize("start", [[[1.0, 0, 0], [0, 0, 1.0]], [[0.5, 0.6, 0.6], [0.4, 0.6, 0.6]]])
def test_vahadane_does_not_depend_on_its_start(he_image, start, monkeypatch):
    expected = Vahadane()(*gather_tissue([he_image], 6))
    monkeypatch.setattr("monai_seunet.transforms.stain.extractors.TYPICAL_STAINS", start)
    found = Vahadane(tolerance=1e-9)(*gather_tissue([he_image], 6))
    assert degrees_apart(found, expected) < 0.01


@pytest.mark.parametrize("method", NATIVE)
def test_tiles_together_are_the_slide(he_image, method):
    whole = fit_profile([he_image], method)
    tiles = fit_profile((tile for half in he_image.split(40, 1) for tile in half.split(50, 2)), method)
    assert np.allclose(tiles.matrix, whole.matrix, atol=1e-9) and tiles.tissue_pixels == whole.tissue_pixels
    assert fit_profile([he_image], method) == whole, "the same image gives the same numbers"


@pytest.mark.data
def test_native_and_reference_agree_on_real_images(real_image):
    pytest.importorskip("spams", reason="the reference extractor: pip install staintools==2.1.2 spams-bin==2.6.14")
    native, reference = fit_profile([real_image]), fit_profile([real_image], StainToolsExtractor(rounds=6))
    assert degrees_apart(native.matrix, reference.matrix) < 0.5
    assert np.allclose(native.max_concentrations, reference.max_concentrations, rtol=0.02)
    assert degrees_apart(native.matrix, fit_profile([real_image], "macenko").matrix) > 0.5, "not any two methods agree"


def test_native_and_reference_agree(he_image):
    pytest.importorskip("spams", reason="the reference extractor: pip install staintools==2.1.2 spams-bin==2.6.14")
    before = he_image.clone()
    quick = StainToolsExtractor(rounds=3)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    reference = fit_profile([he_image], quick)
    assert torch.get_num_threads() == 2, "spams sets the number of threads of the whole process"
    torch.set_num_threads(threads)
    assert degrees_apart(fit_profile([he_image]).matrix, reference.matrix) < 0.5
    assert fit_profile([he_image], quick) == reference, "counted iterations repeat themselves"
    assert torch.equal(he_image, before)


@pytest.mark.data
def test_macenko_is_that_of_staintools(real_image):
    staintools = pytest.importorskip("staintools", reason="the reference: pip install staintools==2.1.2")
    expected = staintools.MacenkoStainExtractor.get_stain_matrix(real_image.permute(1, 2, 0).numpy().copy())
    assert degrees_apart(fit_profile([real_image], "macenko").matrix, expected) < 0.5


@pytest.mark.parametrize("module", ["spams", "staintools"])
def test_missing_reference_says_what_to_install(he_image, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"pip install staintools==2\.1\.2 spams-bin==2\.6\.14"):
        fit_profile([he_image], "staintools")


@pytest.mark.parametrize("method", [*NATIVE, "staintools"])
def test_images_without_two_stains_have_no_profile(degenerate, method):
    if method == "staintools":
        pytest.importorskip("spams", reason="the reference extractor: pip install spams-bin==2.6.14")
    with pytest.raises(NoTissueError, match=r"^image: .*(pixels of tissue|one colour)"):
        fit_profile([degenerate], method)


def test_no_images_have_no_profile():
    with pytest.raises(NoTissueError, match="0 pixels"):
        fit_profile([])


@pytest.mark.parametrize(("name", "hint"), [("vahadan", "vahadane, macenko, staintools"), ("reinhard", "Reinhard")])
def test_unknown_method_names_the_choices(name, hint):
    with pytest.raises(InputError, match=hint):
        make_extractor(name)


def test_histogram_keeps_counts_and_mean_density(generator):
    image = torch.randint(0, 150, (3, 60, 70), generator=generator).to(torch.uint8)  # all of it darker than glass
    pixels, ones = gather_tissue([image], None)
    assert torch.allclose(pixels, optical_density(image.double() / 255).reshape(3, -1)) and len(ones) == 60 * 70
    coarse, counts = gather_tissue([image], 3)
    assert counts.sum() == len(ones) > 5 * len(counts)
    assert torch.allclose(coarse @ counts, pixels.sum(dim=1), rtol=1e-6)


def test_glass_is_left_out(he_image):
    pixels, ones = gather_tissue([he_image], None)
    coarse, counts = gather_tissue([he_image], 6)
    assert counts.sum() == pytest.approx(len(ones), rel=0.01) and len(ones) < 0.85 * he_image[0].numel()
    assert min(pixels.amax(dim=0).min(), coarse.amax(dim=0).min()) > 0.1


@pytest.mark.parametrize("percent", [1, 50, 99, 100])
def test_weighted_percentile_is_that_of_the_repeated_values(percent):
    random = np.random.default_rng(0)
    values, weights = random.standard_normal(200), random.integers(1, 9, 200)
    expected = np.percentile(np.repeat(values, weights), percent, method="inverted_cdf")
    assert weighted_percentile(values, weights.astype(float), percent) == expected


def test_profiles_are_fitted_once_a_pixel_content(he_image, tmp_path, monkeypatch):
    cache = tmp_path / "new" / "cache"
    first = cached_profile(he_image, cache)
    cached_profile(he_image, cache, "macenko")
    cached_profile(he_image, cache, Vahadane(penalty=0.2))
    cached_profile(make_he(seed=1), cache)
    assert len(list(cache.iterdir())) == 4

    def fit_again(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(fit, "fit_profile", fit_again)
    assert cached_profile(he_image.clone(), cache) == first
    assert cached_profile(he_image.float() / 255, cache) == first, "the same image as float"
    with pytest.raises(AssertionError, match="fitted again"):
        cached_profile(make_he(seed=2), cache)


def test_cache_folder_that_cannot_be_made_is_named(he_image, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be made"):
        cached_profile(he_image, tmp_path / "file" / "cache")


def test_float_images_give_the_same_profile(he_image):
    assert fit_profile([he_image.double() / 255]) == fit_profile([he_image])
    assert math.isfinite(fit_profile([he_image]).angle)
