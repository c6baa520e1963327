"""µm per pixel from nuclei: right within their spread, and with an error that fits."""

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
from monai_seunet.slides.magnification.calibrate import check_patients, describe
from monai_seunet.slides.magnification.calibrate_network import calibrate_network, judge_calibration
from monai_seunet.slides.magnification.calibration import (
    LABORATORIES,
    MppCalibration,
    MppEstimate,
    Profile,
    fit_calibration,
)
from monai_seunet.slides.magnification.check_resolution import check_resolution
from monai_seunet.slides.magnification.estimate_mpp import estimate_mpp, nuclei_features, profile_of
from monai_seunet.slides.magnification.groups import calibrated_groups, choose_groups
from monai_seunet.slides.magnification.resolution import likely_objective, resolve
from monai_seunet.slides.model import SlideModel
from monai_seunet.slides.options import SlideOptions
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
        images = [(f"patient {n % 3}", discs(n, zoom=2.0)) for n in range(6)]
        return calibrate_network(BlobNetwork(), "p_max", images, 0.25, "some weights")


def reader(image):
    return lambda y, x, height, width: image[:, y : y + height, x : x + width]


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
def test_the_estimate_follows_the_magnification(calibration, monkeypatch, zoom):
    monkeypatch.setattr(estimate, "SIDE", 160)
    image = discs(9, zoom=zoom)
    side = image.shape[-1]
    found = estimate_mpp(BlobNetwork(), calibration, reader(image), (side, side), [(side // 2, side // 2)])
    assert abs(np.log2(found.mpp * zoom / 0.5)) < 0.35
    assert found.interval[0] < 0.5 / zoom < found.interval[1] and found.objective == 20 * zoom


def test_the_error_is_that_of_patients_left_out(calibration):
    assert 0 < calibration.error < 0.4 and calibration.images == 6 and calibration.mpp == 0.25
    assert calibration.right == 1.0 and calibration.covered >= 0.94
    assert f"factor of {2**calibration.error:.2f}" in describe(calibration)


def test_another_laboratory_is_judged_and_its_other_sizes_count(calibration, monkeypatch):
    monkeypatch.setattr(estimate, "SIDE", 160)
    alike, larger = (
        judge_calibration(BlobNetwork(), calibration, [("x", discs(n, zoom=zoom)) for n in range(20, 23)], 0.25)
        for zoom in (2.0, 4.0)
    )
    assert alike.right == 1.0 and alike.error < 0.4
    assert larger.right < 0.5 and larger.error > 0.7 and larger.covered < 0.5


def test_a_patient_that_does_not_exist_is_named(tmp_path):
    save(tmp_path / "a.tif", coloured())
    items = [{"image": "a.tif", "label": "a.tif", "group": "patient-01"}]
    content = {"name": "a", "classes": ["background", "nucleus"], "label_kind": "instances", "training": items}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    check_patients([tmp_path], ["patient-01"])
    with pytest.raises(InputError, match=r"has the patient\(s\) patient-1; they have names as patient-01"):
        check_patients([tmp_path], ["patient-1"])


def test_the_regression_finds_the_magnification_behind_noise():
    rng = np.random.default_rng(0)
    octaves = np.repeat(np.arange(-2.0, 0.1), 40)
    features = np.stack([octaves, rng.normal(size=len(octaves)), 5 - 2 * octaves], 1)
    fitted = fit_calibration(octaves, features + rng.normal(0, 0.1, features.shape), 0.5)
    for truth in (-1.5, -0.3, 0.8):
        found = fitted.estimate(Profile(np.array([truth, 3.0, 5 - 2 * truth]), 100))
        assert np.log2(0.5 / found.mpp) == pytest.approx(truth, abs=0.11)


def test_few_nuclei_have_a_wider_interval():
    calibration = MppCalibration(0.25, 0.0, [1.0], variance=(0.04, 0.5))
    wide, narrow = (calibration.estimate(Profile(np.zeros(1), nuclei)) for nuclei in (2, 2000))
    assert wide.error == pytest.approx((0.04 + 0.25 + LABORATORIES**2) ** 0.5)
    assert narrow.error == pytest.approx((0.04 + LABORATORIES**2) ** 0.5, rel=0.01)
    low, high = wide.interval
    assert MppEstimate.of_interval(low, high) == pytest.approx(wide)


@pytest.mark.parametrize(("mpp", "power"), [(0.25, 40), (0.35, 40), (0.36, 20), (1.1, 10), (0.01, 80), (90, 1.25)])
def test_the_nearest_objective_of_a_sure_estimate(mpp, power):
    found, probability = likely_objective(mpp, 0.1)
    assert found == power and 0.5 < probability <= 1


def test_an_unsure_estimate_is_one_of_the_usual_objectives():
    assert likely_objective(0.16, 0.05)[0] == 80 and likely_objective(0.16, 0.35)[0] == 40
    assert likely_objective(0.35, 0.35)[1] < 0.6


def test_an_image_without_nuclei_says_nothing(calibration):
    assert nuclei_features(torch.full((64, 64), 0.2)) is None
    blank = torch.full((3, 128, 128), 0.8)
    assert estimate_mpp(BlobNetwork(), calibration, reader(blank), (128, 128), [(64, 64)]) is None


def test_the_features_of_a_known_map():
    foreground = torch.zeros(8, 8)
    foreground[:, :4], foreground[:, 4] = 0.95, 0.8  # 40 pixels, of which 8 are unsure; one border of 8 pixels
    np.testing.assert_allclose(nuclei_features(foreground), [np.log2(40 / 9), 40 / 64, 0.92, 8 / 40])


def test_nuclei_are_counted_once_however_many_tiles_show_them(monkeypatch):
    monkeypatch.setattr(estimate, "SIDE", 256)
    image = discs(5, zoom=1.0)
    one, four = (
        profile_of(BlobNetwork(), "p_max", reader(image), (256, 256), centres)
        for centres in ([(128, 128)], [(64, 64), (64, 192), (192, 64), (192, 192)])
    )
    assert one.nuclei == four.nuclei and 30 < one.nuclei < 90  # 60 discs, some of which overlap


def coloured():
    """Discs at 0.25 µm per pixel."""
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


def test_a_slide_that_says_nothing_gets_the_likely_objective(file, slide, tmp_path):
    result = segmenter(file).run(slide, tmp_path / "a")
    assert result["resolution"] == "0.25 µm per pixel (estimated)"
    assert "nuclei look like 0.2" in result["notes"][0] and "objective of 40x" in result["notes"][0]


def test_a_slide_that_says_wrong_is_warned_of(file, tmp_path):
    told = segmenter(file).run(save(tmp_path / "b.tif", coloured(), 0.25), tmp_path / "b")
    assert "0.25" in told["resolution"] and "(file)" in told["resolution"] and not told["notes"]
    wrong = segmenter(file).run(save(tmp_path / "c.tif", coloured(), 1.0), tmp_path / "c")
    assert "(file)" in wrong["resolution"] and "but nuclei look like 0." in wrong["notes"][0]


@pytest.mark.parametrize(("mpp", "power", "used"), [(0.25, 10, 0.25), (1.0, 40, 0.25)])
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
