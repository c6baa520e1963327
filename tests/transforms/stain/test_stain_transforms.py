import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import CacheDataset, MetaTensor
from stain_images import BUNDLE_TARGET, degrees_apart, make_he

from monai_seunet.transforms.stain import (
    NoTissueError,
    RandStainJitter,
    RandStainJitterd,
    ReinhardNormalize,
    ReinhardNormalized,
    StainNormalize,
    StainNormalized,
    StainProfile,
    fit_profile,
    lab_statistics,
)
from monai_seunet.utils.errors import InputError

LAB = ([62.0, 28.0, -12.0], [14.0, 11.0, 8.0])
OTHER_STAINS = torch.nn.functional.normalize(torch.tensor([[0.5, 0.8, 0.2], [0.1, 0.85, 0.5]], dtype=torch.float64))

TRANSFORMS = {
    "normalize": lambda: StainNormalize(BUNDLE_TARGET),
    "jitter": lambda: RandStainJitter(prob=1.0).set_random_state(3),
    "reinhard": lambda: ReinhardNormalize(*LAB),
}
DICTIONARIES = {
    "normalize": lambda: StainNormalized("image", BUNDLE_TARGET),
    "jitter": lambda: RandStainJitterd("image", prob=1.0).set_random_state(3),
    "reinhard": lambda: ReinhardNormalized("image", *LAB),
}


@pytest.fixture(params=TRANSFORMS)
def name(request):
    return request.param


def test_array_equals_dictionary(he_image, name):
    array, other = TRANSFORMS[name]()(he_image), DICTIONARIES[name]()({"image": he_image, "label": 7})
    assert torch.equal(array, other["image"]) and other["label"] == 7
    assert array.dtype == torch.uint8 and array.shape == he_image.shape
    assert (array.int() - he_image.int()).abs().max() > 10


def test_metadata_is_kept_and_the_input_untouched(he_image, name):
    before = he_image.clone()
    affine = torch.diag(torch.tensor([0.25, 0.25, 1.0, 1.0], dtype=torch.float64))
    image = MetaTensor(he_image, affine=affine, meta={"filename_or_obj": "slide_7.png"})
    result = TRANSFORMS[name]()(image)
    assert isinstance(result, MetaTensor) and result.meta["filename_or_obj"] == "slide_7.png"
    assert torch.equal(result.affine, affine) and torch.equal(he_image, before)


def test_uint8_float_and_numpy_agree(he_image, name):
    levels = TRANSFORMS[name]()(he_image).double()
    single = TRANSFORMS[name]()(he_image.float() / 255)
    assert single.dtype == torch.float32 and 0 <= single.min() and single.max() <= 1
    assert (levels - 255 * single.double()).abs().max() < 0.51
    assert torch.equal(TRANSFORMS[name]()(he_image.numpy()).double(), levels)


@pytest.mark.parametrize("method", ["vahadane", "macenko"])
def test_normalised_images_have_the_stains_of_the_target(method):
    target = fit_profile([make_he(192, OTHER_STAINS, seed=5)], method)
    image = make_he(192)
    result = fit_profile([StainNormalize(target, method)(image)], method)
    assert degrees_apart(result.matrix, target.matrix) < 2
    assert np.allclose(result.max_concentrations, target.max_concentrations, rtol=0.05)
    assert degrees_apart(fit_profile([image], method).matrix, target.matrix) > 5


@pytest.mark.parametrize("on_no_tissue", ["identity", "target"])
@pytest.mark.parametrize("method", ["vahadane", "macenko"])
def test_images_without_stains_never_turn_black(degenerate, on_no_tissue, method):
    result = StainNormalize(BUNDLE_TARGET, method, on_no_tissue=on_no_tissue)(degenerate)
    single = StainNormalize(BUNDLE_TARGET, method, on_no_tissue=on_no_tissue)(degenerate.float() / 255)
    assert single.isfinite().all()
    if on_no_tissue == "identity":
        assert torch.equal(result, degenerate)
    else:
        own = StainProfile.load(BUNDLE_TARGET)
        assert torch.equal(result, StainNormalize(own, source=own)(degenerate))
        assert result.float().mean() > 0.7 * degenerate.float().mean()


def test_images_without_stains_raise_where_asked(degenerate):
    image = MetaTensor(degenerate, meta={"filename_or_obj": "blank.png"})
    with pytest.raises(NoTissueError, match=r"^blank\.png: "):
        StainNormalize(BUNDLE_TARGET, on_no_tissue="raise")(image)


def test_jitter_leaves_images_without_stains(degenerate):
    assert torch.equal(TRANSFORMS["jitter"]()(degenerate), degenerate)


def test_reinhard_leaves_or_refuses_a_single_colour():
    flat = torch.full((3, 9, 9), 200, dtype=torch.uint8)
    assert torch.equal(ReinhardNormalize(*LAB)(flat), flat)
    with pytest.raises(NoTissueError, match="single colour"):
        ReinhardNormalize(*LAB, on_no_tissue="raise")(flat)


def test_profile_of_the_slide_is_used_for_its_tiles(tmp_path):
    tiles = [make_he(seed=1), torch.full((3, 96, 96), 255, dtype=torch.uint8)]
    slide = fit_profile([make_he(192)])
    slide.save(tmp_path / "slide.json")
    for tile in tiles:
        given = StainNormalize(BUNDLE_TARGET, source=slide)(tile)
        item = {"image": tile, "profile": str(tmp_path / "slide.json")}
        assert torch.equal(given, StainNormalized("image", BUNDLE_TARGET, source_key="profile")(item)["image"])
    assert torch.equal(given, tiles[1]), "white stays white"
    own = StainNormalize(BUNDLE_TARGET)(tiles[0])
    assert not torch.equal(StainNormalize(BUNDLE_TARGET, source=slide)(tiles[0]), own)
    with pytest.raises(InputError, match="no entry 'profile'"):
        StainNormalized("image", BUNDLE_TARGET, source_key="profile")({"image": tiles[0]})


def test_cache_folder_holds_the_profile(he_image, tmp_path):
    transform = StainNormalized("image", BUNDLE_TARGET, cache_dir=tmp_path)
    first, second = transform({"image": he_image}), transform({"image": he_image})
    assert torch.equal(first["image"], second["image"]) and len(list(tmp_path.iterdir())) == 1
    assert torch.equal(first["image"], StainNormalize(BUNDLE_TARGET)(he_image))


WRONG = {
    "grey": (torch.zeros(1, 8, 8, dtype=torch.uint8), "a grey image has no stain colours"),
    "two axes": (torch.zeros(8, 8, dtype=torch.uint8), "a grey image has no stain colours"),
    "channels last": (torch.zeros(8, 9, 3, dtype=torch.uint8), "the channels are last"),
    "batch": (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "one image"),
    "five channels": (torch.zeros(5, 8, 8, dtype=torch.uint8), "three channels"),
    "empty": (torch.zeros(3, 0, 8, dtype=torch.uint8), "no pixels"),
    "levels as float": (torch.full((3, 8, 8), 200.0), r"range from 200 to 200; .* \[0, 1\]"),
    "standardised": (torch.linspace(-2, 2, 192).reshape(3, 8, 8), r"range from -2 to 2"),
    "not a number": (torch.full((3, 8, 8), float("nan")), "range from nan to nan"),
    "integers": (torch.zeros(3, 8, 8, dtype=torch.int64), "pixels are torch.int64"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_rgb_is_refused(wrong, name):
    image, message = WRONG[wrong]
    with pytest.raises(InputError, match=message):
        TRANSFORMS[name]()(image)


def test_alpha_is_dropped_with_a_warning(he_image, name):
    with_alpha = torch.cat([he_image, torch.full_like(he_image[:1], 255)])
    with pytest.warns(UserWarning, match="alpha channel is dropped"):
        result = TRANSFORMS[name]()(with_alpha)
    assert torch.equal(result, TRANSFORMS[name]()(he_image))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "absent.json"}, r"absent\.json"),
        ({"method": "guess"}, "choose one of"),
        ({"on_no_tissue": "black"}, "identity, target or raise"),
        ({"source": "absent.json"}, r"absent\.json"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        StainNormalize(**{"target": str(BUNDLE_TARGET), **options})


def test_jitter_draws_once_for_all_keys(he_image):
    transform = RandStainJitterd(["image", "other"], prob=0.5, source=BUNDLE_TARGET).set_random_state(0)
    results = [transform({"image": he_image, "other": he_image}) for _ in range(40)]
    changed = [not torch.equal(result["image"], he_image) for result in results]
    assert all(torch.equal(result["image"], result["other"]) for result in results)
    assert 10 < sum(changed) < 30
    assert len({result["image"].double().mean().item() for result in results}) == sum(changed) + 1
    array = RandStainJitter(prob=0.5, source=BUNDLE_TARGET).set_random_state(0)
    assert all(torch.equal(array(he_image), result["image"]) for result in results)


def test_jitter_without_strength_is_the_identity(he_image):
    assert torch.equal(RandStainJitter(1.0, alpha=0, beta=0)(he_image), he_image)
    assert torch.equal(RandStainJitter(0.0)(he_image), he_image)


@pytest.mark.parametrize(("alpha", "beta"), [(-0.1, 0.1), (1.1, 0.1), (0.1, -0.1)])
def test_jitter_refuses_impossible_strength(alpha, beta):
    with pytest.raises(ValueError, match="alpha must be"):
        RandStainJitter(alpha=alpha, beta=beta)


def test_jitter_is_not_cached(he_image):
    transforms = RandStainJitterd("image", prob=1.0, source=BUNDLE_TARGET).set_random_state(0)
    dataset = CacheDataset([{"image": he_image}], transforms, progress=False)
    assert not torch.equal(dataset[0]["image"], dataset[0]["image"])


def test_reinhard_gives_the_statistics_of_the_target(he_image):
    mean, std = lab_statistics(ReinhardNormalize(*LAB)(he_image.double() / 255))
    before, _ = lab_statistics(he_image)
    assert np.allclose(mean, LAB[0], atol=1.5) and np.allclose(std, LAB[1], atol=1.5)
    assert abs(before - LAB[0]).max() > 5


@pytest.mark.data
def test_reinhard_is_that_of_staintools(real_image, he_image):
    staintools = pytest.importorskip("staintools", reason="the reference: pip install staintools==2.1.2")
    normalizer = staintools.ReinhardColorNormalizer()
    normalizer.fit(make_he(128).permute(1, 2, 0).numpy())
    expected = normalizer.transform(real_image.permute(1, 2, 0).numpy().copy())
    result = ReinhardNormalize(*map(list, lab_statistics(make_he(128))))(real_image)
    difference = result.permute(1, 2, 0).numpy().astype(int) - expected
    assert abs(difference).mean() < 2.5, "staintools rounds CIELAB to eight bits and truncates"


def test_json_config_builds_the_transforms(he_image):
    module = "monai_seunet.transforms.stain"
    normalize = {"_target_": f"{module}.StainNormalized", "keys": "image", "target": "@target", "method": "macenko"}
    jitter = {"_target_": f"{module}.RandStainJitterD", "keys": ["image"], "prob": 1.0, "source": "@target"}
    parser = ConfigParser({"target": str(BUNDLE_TARGET), "normalize": normalize, "jitter": jitter})
    item = parser.get_parsed_content("jitter")(parser.get_parsed_content("normalize")({"image": he_image}))
    assert item["image"].shape == he_image.shape
