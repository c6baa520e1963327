"""Fusion as post-processing: equal to the functions, with meta data, by name in JSON."""

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor, decollate_batch

from monai_seunet.fusion import STRATEGIES, fuse, winning_scale
from monai_seunet.transforms.fusion import FuseScales, FuseScalesd, WinningScale


@pytest.fixture(params=[2, 5], ids=["binary", "five classes"])
def groups(request, generator):
    logits = 3 * torch.randn(4, request.param, 9, 7, generator=generator)
    return MetaTensor(logits.softmax(1), meta={"mpp": 0.25, "filename_or_obj": "x.png"})


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_array_dictionary_and_function_agree(groups, strategy):
    expected = fuse(groups.as_tensor()[None], strategy)[0]
    result = FuseScales(strategy)(groups)
    item = FuseScalesd("pred", strategy, scale_key="scale")({"pred": groups})
    assert isinstance(result, MetaTensor)
    assert result.meta["mpp"] == item["scale"].meta["mpp"] == 0.25
    torch.testing.assert_close(result.as_tensor(), expected)
    assert torch.equal(item["pred"], result)
    assert torch.equal(item["scale"].as_tensor().long(), winning_scale(groups.as_tensor()[None], strategy)[0])
    assert torch.equal(item["scale"], WinningScale(strategy)(groups))
    torch.testing.assert_close(result.sum(0).as_tensor(), torch.ones(9, 7))


@pytest.mark.parametrize("pixels", [1, 15, 10**6])
def test_bands_of_rows_change_nothing(groups, pixels, monkeypatch):
    expected, winner = FuseScales()(groups), WinningScale()(groups)
    monkeypatch.setattr("monai_seunet.transforms.fusion.BAND_PIXELS", pixels)
    torch.testing.assert_close(FuseScales()(groups), expected)
    assert torch.equal(WinningScale()(groups), winner)


def test_bands_see_what_lies_around_them_where_the_fusion_does(monkeypatch):
    groups = (3 * torch.randn(3, 2, 300, 20, dtype=torch.float64)).softmax(1)
    whole, winner = fuse(groups[None], "p_conf")[0], winning_scale(groups[None], "p_conf")[0]
    monkeypatch.setattr("monai_seunet.transforms.fusion.BAND_PIXELS", 20 * 70)
    torch.testing.assert_close(FuseScales("p_conf")(groups), whole)
    assert torch.equal(WinningScale("p_conf")(groups).long(), winner)


def test_no_scale_map_unless_asked_for(groups):
    assert set(FuseScalesd("pred")({"pred": groups})) == {"pred"}


def test_the_scale_map_names_the_confident_group():
    groups = torch.full((3, 2, 4, 4), 0.5)
    groups[2, :, :2] = torch.tensor([0.9, 0.1])[:, None, None]
    groups[1, :, 2:] = torch.tensor([0.2, 0.8])[:, None, None]
    scale = WinningScale()(groups)
    assert scale.dtype == torch.uint8
    assert scale[0, :, 0].tolist() == [2, 2, 1, 1]


def test_after_a_batch_is_taken_apart(groups):
    item = decollate_batch({"pred": torch.stack([groups.as_tensor(), groups.as_tensor()])})[0]
    assert FuseScalesd("pred")(item)["pred"].shape == groups.shape[1:]


def test_by_short_name_in_json(groups):
    config = {"imports": ["$import monai_seunet.transforms.fusion"], "fuse": {"_target_": "FuseScalesd", "keys": "p"}}
    parser = ConfigParser(config)
    parser.get_parsed_content("imports", eval_expr=True)
    assert parser.get_parsed_content("fuse")({"p": groups})["p"].shape == groups.shape[1:]


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"'vote'.*p_ens"):
        FuseScales("vote")
    with pytest.raises(ValueError, match=r"\(S, N, H, W\).*\[2, 8, 8\].*decollate"):
        FuseScales()(torch.zeros(2, 8, 8))
    with pytest.raises(ValueError, match="two classes"):
        FuseScales()(torch.zeros(3, 1, 8, 8))
