"""µm per pixel from the scale groups that win: right within the spread of the nuclei, and with its error."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from dark_slides import save
from slide_files import ArraySlide
from torch import nn

from monai_seunet.networks.unet.base import Network
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.slides.magnification import estimate_mpp as estimate
from monai_seunet.slides.magnification.calibrate import describe
from monai_seunet.slides.magnification.calibration import MppCalibration, fit_calibration, winning_profile
from monai_seunet.slides.magnification.check_resolution import check_resolution
from monai_seunet.slides.magnification.estimate_mpp import calibrate_network, estimate_mpp
from monai_seunet.slides.magnification.groups import calibrated_groups, choose_groups
from monai_seunet.slides.magnification.resolution import nearest_objective, resolve
from monai_seunet.slides.model import SlideModel, SlideOptions
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.utils.errors import InputError

SIGMAS = (1.5, 2.1, 3.0, 4.2, 6.0)


class BlobNetwork(Network):
    """Five scale groups, each of which finds dark blobs of its size."""

    num_scales = 5

    def __init__(self):
        super().__init__(in_channels=3, out_channels=2, stride=16)
        self.gain = nn.Parameter(torch.tensor(60.0))

    def outputs(self, x):
        dark = 0.7 - x.mean(1, keepdim=True)
        groups = []
        for sigma in SIGMAS:
            fine, coarse = smooth(dark, sigma), smooth(dark, 1.6 * sigma)
            response = self.gain * (fine - coarse - 0.06)[:, 0]
            groups.append(torch.stack([-response, response], 1))
        return torch.stack(groups, 1)


def smooth(x, sigma):
    radius = int(3 * sigma)
    taps = torch.arange(-radius, radius + 1.0)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(x, [radius] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def discs(seed, side=256, radius=5.0, zoom=1.0):
    """An image of dark discs, drawn at a magnification."""
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[: int(side * zoom), : int(side * zoom)] + 0.5) / zoom
    image = np.full(y.shape, 0.8)
    for row, column in rng.uniform(0, side, (60, 2)):
        image[(y - row) ** 2 + (x - column) ** 2 < (radius * rng.uniform(0.85, 1.15)) ** 2] = 0.2
    return torch.from_numpy(np.stack([image] * 3)).float()


@pytest.fixture(scope="module")
def calibration():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimate, "SIDE", 160)
        images = [(f"patient {n % 3}", discs(n)) for n in range(6)]
        return calibrate_network(BlobNetwork(), "p_max", images, 0.25, "some weights")


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
def test_the_estimate_follows_the_magnification(calibration, monkeypatch, zoom):
    monkeypatch.setattr(estimate, "SIDE", 160)
    image = discs(9, zoom=zoom)
    side = image.shape[-1]

    def read(y, x, height, width):
        top, left = min(max(0, y), side - height), min(max(0, x), side - width)
        return image[:, top : top + height, left : left + width]

    found = estimate_mpp(BlobNetwork(), calibration, read, [(side // 2, side // 2, side)])
    assert abs(np.log2(found * zoom / 0.25)) < 0.35


def test_the_error_is_that_of_patients_left_out(calibration):
    assert 0 < calibration.error < 0.4 and calibration.images == 6 and calibration.mpp == 0.25
    assert f"factor of {2**calibration.error:.2f}" in describe(calibration)


def test_the_likeliest_magnification_is_found():
    rng = np.random.default_rng(0)
    octaves = np.repeat(np.arange(-2, 2.1, 0.5), 40)
    course = np.stack([octaves, octaves**2, np.tanh(octaves)], 1)
    calibration = fit_calibration(octaves, course + rng.normal(0, 0.1, course.shape), 0.5)
    for truth in (-1.5, -0.3, 0.8):
        zooms = np.array([-1.0, 0.0, 1.0]) + truth
        seen = np.stack([zooms, zooms**2, np.tanh(zooms)], 1)
        found = calibration.pixel_size([list(zip((-1, 0, 1), seen, strict=True))])
        assert np.log2(0.5 / found) == pytest.approx(truth, abs=0.11)


@pytest.mark.parametrize(("mpp", "power"), [(0.25, 40), (0.35, 40), (0.36, 20), (1.1, 10), (0.01, 80), (90, 1.25)])
def test_the_nearest_objective(mpp, power):
    assert nearest_objective(mpp) == power


def test_an_image_without_nuclei_says_nothing(calibration):
    probabilities = BlobNetwork().heads(torch.full((1, 3, 64, 64), 0.8)).softmax(2)
    assert winning_profile(probabilities, "p_max") is None
    blank = estimate_mpp(BlobNetwork(), calibration, lambda y, x, h, w: torch.full((3, h, w), 0.8), [(64, 64, 128)])
    assert blank is None


def test_a_profile_knows_who_won():
    probabilities = torch.full((1, 2, 2, 8, 8), 0.5)
    probabilities[:, 0, :, :, :4] = torch.tensor([0.1, 0.9]).view(1, 2, 1, 1)
    probabilities[:, 1] = torch.tensor([0.4, 0.6]).view(1, 2, 1, 1)
    profile = winning_profile(probabilities, "p_max")
    assert profile.shape == (8,)
    np.testing.assert_allclose(profile[:2], [0.5, 0.5])  # the first group wins the left half
    np.testing.assert_allclose(profile[2:4], [0.5, 1.0])  # which is all that it finds
    np.testing.assert_allclose(profile[6:], [np.log2(33 / 9), np.log2(65 / 1)])  # one border of 8 pixels, and none


def coloured():
    """Discs of 0.25 µm per pixel, drawn at 0.125."""
    pixels = (discs(3, zoom=2.0) * 255).permute(1, 2, 0).numpy() + np.array([30, -20, 20])
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.fixture
def slide(tmp_path):
    return save(tmp_path / "a.tif", coloured())


def segmenter(calibration_file):
    model = SlideModel(BlobNetwork(), Preprocessing(None, False), "p_max", calibration=calibration_file)
    return SlideSegmenter(model, SlideOptions(mpp="auto", window=128, window_overlap=32), ("csv",), workers=0)


@pytest.fixture
def file(calibration, monkeypatch, tmp_path):
    """The calibration as a file that knows the weights."""
    monkeypatch.setattr(estimate, "SIDE", 160)
    path = calibration.save(tmp_path / "model_mpp.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": segmenter(path).model.weights}))
    return path


def test_a_calibration_of_other_weights_is_refused(calibration, slide, tmp_path):
    file = calibration.save(tmp_path / "model_mpp.json")
    with pytest.raises(InputError, match="made for other weights"):
        segmenter(file).run(slide, tmp_path / "a")


def test_the_estimate_is_by_the_fusion_of_the_calibration(file, slide, tmp_path):
    one = segmenter(file)
    other = replace(one, model=replace(one.model, fusion="arithmetic"))
    resolutions = [made.run(slide, tmp_path / made.model.fusion) for made in (one, other)]
    assert resolutions[0]["notes"][0] == resolutions[1]["notes"][0]


def test_a_slide_that_says_nothing_gets_the_objective_next_to_the_estimate(file, slide, tmp_path):
    result = segmenter(file).run(slide, tmp_path / "a")
    assert result["resolution"] == "0.125 µm per pixel (estimated)"
    assert "nuclei look like 0.1" in result["notes"][0] and "objective of 80x" in result["notes"][0]


def test_a_slide_that_says_wrong_is_warned_of(file, tmp_path):
    told = segmenter(file).run(save(tmp_path / "b.tif", coloured(), 0.125), tmp_path / "b")
    assert "0.125" in told["resolution"] and "(file)" in told["resolution"] and not told["notes"]
    wrong = segmenter(file).run(save(tmp_path / "c.tif", coloured(), 0.5), tmp_path / "c")
    assert "(file)" in wrong["resolution"] and "but nuclei look like 0.1" in wrong["notes"][0]


@pytest.mark.parametrize(("mpp", "power", "used"), [(0.125, 20, 0.125), (0.5, 80, 0.125)])
def test_of_two_statements_the_nearer_one_is_used(file, tmp_path, mpp, power, used):
    slide = ArraySlide([coloured()], mpp=(mpp, mpp), objective_power=power)
    resolution = check_resolution(segmenter(file).model, SlideOptions(), slide, resolve(slide))
    assert resolution.mpp == used and resolution.warning.endswith(f"{used} is used")


def test_a_network_without_groups_needs_a_number(file, slide, tmp_path):
    plain = segmenter(file)
    plain.model.network.num_scales = 1
    with pytest.raises(InputError, match="BlobNetwork has none; give a number"):
        plain.run(slide, tmp_path / "a")


def test_mistakes_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file; make it by 'monai-seunet calibrate'"):
        MppCalibration.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"mpp": 1}')
    with pytest.raises(InputError, match="no calibration"):
        MppCalibration.load(tmp_path / "bad.json")
    with pytest.raises(InputError, match="three or more"):
        calibrate_network(BlobNetwork(), "p_max", [("a", discs(0)), ("b", discs(1))], 0.25, "")
    with pytest.raises(InputError, match="has no scale groups"):
        calibrate_network(Network(3, 2, stride=1), "p_max", [], 0.25, "")


def test_groups_are_chosen_by_the_calibration_of_the_weights(tmp_path, calibration):
    def made(path, network=None, fusion="p_max"):
        return SlideModel(network or BlobNetwork().eval(), Preprocessing(None, False), fusion, calibration=path)

    def chosen(model, mpp):
        return choose_groups(model, "auto", mpp, (400, 400)).numbers

    with pytest.raises(InputError, match=r"chosen .auto., which needs the file of 'monai-seunet calibrate'"):
        chosen(made(None), 0.25)
    path = calibration.save(tmp_path / "other.json")
    with pytest.raises(InputError, match=r"other.json: made for other weights"):
        chosen(made(path), 0.25)
    own = replace(calibration, weights=made(None).weights, groups={"0": [3, 4], "-1": [1]})
    with pytest.raises(InputError, match="does not say by which fusion it was made"):
        chosen(made(replace(own, fusion="").save(tmp_path / "former.json")), 0.25)
    with pytest.raises(InputError, match="was made for fusion p_max, not p_ens; make it again"):
        chosen(made(own.save(tmp_path / "of_p_max.json"), fusion="p_ens"), 0.25)
    path = own.save(tmp_path / "own.json")
    assert [chosen(made(path), mpp) for mpp in (0.25, 0.3, 0.5)] == [[4, 5], [4, 5], [2]]
    assert chosen(made(path), None) is None, "all groups, where nobody knows the µm per pixel"
    assert chosen(made(path), 1.0) is None, "all groups, where the calibration knows nothing"
    plans = [calibrated_groups(made(one.save(tmp_path / "own.json"))) for one in (own, replace(own, groups={}))]
    assert plans[0] != plans[1], "results of another choice are not gone on with"
    with pytest.raises(InputError, match="Network has no scale groups"):
        chosen(made(path, Network(3, 2, stride=1)), 0.25)
    with pytest.raises(InputError, match="groups is 'some'; give numbers from 1, as 1,3, or auto"):
        SlideOptions(groups="some")
