"""What holds for all images is refused once, before the first one."""

import numpy as np
import pytest
import torch
from dark_slides import CENTRES, DarkNetwork, draw, segmenter, with_model
from PIL import Image
from repository import CONFIGS

from monai_seunet.networks import SEUNet
from monai_seunet.slides.cohort.segment import segment_cohort
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.utils.errors import InputError


def other_weights():
    network = DarkNetwork()
    network.limit.data = torch.tensor(0.41)
    return segmenter(network)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: segmenter(window=256), "window 128, now it is 256; use the same options to go on, --overwrite"),
        (other_weights, r"model DarkNetwork \(weights \w{12}\), now it is DarkNetwork \(weights \w{12}\)"),
    ],
)
def test_results_of_other_options(tmp_path, capsys, other, message):
    slides, output = [draw(tmp_path / f"{name}.tif") for name in "abc"], tmp_path / "out"
    segment_cohort(segmenter(), slides[:2], output)
    before = (output / "counts.csv").read_text()
    capsys.readouterr()
    with pytest.raises(InputError, match=rf"^2 of 3 images have results of other options; the first is .*{message}"):
        segment_cohort(other(), slides, output)
    assert capsys.readouterr().out == "" and (output / "counts.csv").read_text() == before
    assert not (output / "c").exists()
    with pytest.raises(InputError, match=rf"^{output}/b/result\.json: made with {message}"):
        segment_cohort(other(), slides[1:2], output)
    assert all(each.result for each in segment_cohort(other(), slides, output, overwrite=True))
    again = segment_cohort(segmenter(), slides, tmp_path / "new")  # the control: another folder
    assert [each.result["objects"] for each in again] == [len(CENTRES)] * 3


def test_a_begun_result_of_other_options(tmp_path):
    slide, work = draw(tmp_path / "a.tif"), tmp_path / "out" / "a" / ".work"
    work.mkdir(parents=True)
    (work / "plan.json").write_text('{"window": 64}')
    with pytest.raises(InputError, match=r"\.work: made with"):
        segment_cohort(segmenter(), [slide], tmp_path / "out")
    (work / "plan.json").write_text("{")  # damaged: it concerns this image alone
    failed, done = segment_cohort(segmenter(), [slide, draw(tmp_path / "b.tif")], tmp_path / "out")
    assert "damaged" in failed.problem and done.result


def test_a_model_for_other_images(tmp_path, capsys):
    made = with_model(segmenter(), preprocessing=Preprocessing(CONFIGS / "stain_target.json", False))
    (tmp_path / "in").mkdir()
    for name in "ab":
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (64, 64), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "c.png").touch()
    message = r"^none of 3 images fits the model; the first is .*a\.png: a grey image, .*nuclei_fluorescence"
    with pytest.raises(InputError, match=message):
        segment_cohort(made, [tmp_path / "in"], tmp_path / "out")
    assert capsys.readouterr().out == "" and not (tmp_path / "out").exists()
    draw(tmp_path / "in" / "d.tif")  # the control: one image that fits
    outcomes = segment_cohort(made, [tmp_path / "in"], tmp_path / "out")
    assert [each.result is None for each in outcomes] == [True, True, True, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 100}, "window is 100 pixels, no multiple of the network's stride"),
        ({"groups": [1, 3]}, "give different numbers from 1 to 2"),
        ({"groups": "auto"}, "groups are to be chosen"),
        ({"mpp": "auto"}, "µm per pixel are to be estimated"),
    ],
)
def test_options_that_the_network_does_not_take(tmp_path, changes, message):
    made = segmenter(SEUNet(width=4, scales_per_octave=2), **changes)
    with pytest.raises(InputError, match=message):
        segment_cohort(made, [draw(tmp_path / f"{name}.tif") for name in "ab"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
