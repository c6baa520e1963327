"""Every network as TorchScript and as ONNX: the same numbers at any size, of standard operators alone."""

import json
import logging
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from repository import CONFIGS
from torch import nn

import monai_seunet.networks.unet.ordinary as forms
from monai_seunet.cli import main
from monai_seunet.config.read import read_config
from monai_seunet.export import export_network
from monai_seunet.fusion import STRATEGIES, fuse
from monai_seunet.networks import PlainUNet, SEUNet, nets
from monai_seunet.networks.checkpoints import save_checkpoint
from monai_seunet.networks.layers.separable import separable_conv
from monai_seunet.networks.unet.ordinary import OrdinaryNetwork
from monai_seunet.utils.errors import InputError

SMALL = {
    "BaselineUNet": {"width": 8, "num_levels": 3},
    "EquivariantUNet": {"width": 8, "num_levels": 3},
    "GDenseNet": {"width": 8, "num_levels": 3},
    "GDenseUNet": {"width": 8, "num_levels": 3},
    "PlainUNet": {"width": 4, "num_levels": 3},
    "PyramidUNet": {"width": 4, "num_levels": 3, "num_octaves": 3},
    "DISCOUNet": {"width": 4, "num_levels": 3, "scales": [1, 1.5]},
    "RotoScaleUNet": {"width": 32, "num_levels": 3, "scales_per_octave": 2},
    "SESNUNet": {"width": 4, "num_levels": 3, "scales": [1, 3], "kernel_size": 7},
    "SEUNet": {"width": 4, "num_levels": 3, "scales_per_octave": 2, "shared_norm": False},
}


def small(name: str) -> nn.Module:
    """A network whose norms have seen something and whose sigmas have moved."""
    torch.manual_seed(0)
    net = getattr(nets, name)(in_channels=2, **SMALL.get(name, {"width": 8}))
    net(torch.rand(2, 2, 64, 64))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net.eval()


@pytest.mark.parametrize("name", nets.__all__)
def test_every_network_is_exported_in_both_formats(name, tmp_path):
    net = small(name)
    for fusion, suffix in ((None, "onnx"), ("p_ens", "ts")):
        assert export_network(net, tmp_path / f"net.{suffix}", fusion, (32, 32)) < 1e-4
    kinds = {type(layer).__name__ for layer in OrdinaryNetwork(net).modules() if not list(layer.children())}
    kinds -= {"ModuleList"}  # an empty one computes nothing
    assert kinds <= {"Conv2d", "ConvTranspose2d", "Linear", "ReLU", "Identity", "MaxPool2d", "AvgPool2d", "Upsample",
                     "BilinearUpsample2d", "OrientationPool", "Concat", "_OrientationConcat"}  # fmt: skip
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model)
    assert {node.domain for node in model.graph.node} == {""} and not model.functions
    assert not {node.op_type for node in model.graph.node} & {"BatchNormalization", "If", "Loop", "Scan"}
    image = torch.rand(3, 2, 36, 50)  # other than what was followed, and no multiple of the stride
    with torch.no_grad():
        expected = getattr(net, "heads", net)(image)
        (exported,) = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(None, {"image": image.numpy()})
        fused = torch.jit.load(tmp_path / "net.ts")(image)
    np.testing.assert_allclose(exported, expected, atol=1e-4 * max(1, float(expected.abs().max())))
    expected = expected.softmax(-3 if expected.dim() > 2 else 1)
    torch.testing.assert_close(fused, fuse(expected, "p_ens") if expected.dim() == 5 else expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("groups", [None, [0, 1, 4]])
@pytest.mark.parametrize("suffix", ["onnx", "ts"])
def test_octaves_are_exported(groups, suffix, tmp_path):
    torch.manual_seed(0)
    net = SEUNet(width=6, num_levels=3, num_octaves=3, scales_per_octave=2)
    net(torch.rand(2, 3, 64, 64))
    net = net.eval() if groups is None else net.eval().subset(groups)
    for fusion in (None, "p_conf"):
        assert export_network(net, tmp_path / f"net.{suffix}", fusion, (40, 36), overwrite=True) < 1e-4
    with pytest.raises(InputError, match=r"size is 28 x 40, too small for octave 2.*; give at least 32 pixels"):
        export_network(net, tmp_path / f"small.{suffix}", None, (28, 40))


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_every_fusion_is_exported(fusion, tmp_path):
    assert export_network(small("SEUNet"), tmp_path / "net.onnx", fusion, (16, 16)) < 1e-4


@pytest.mark.parametrize("form", ["_dense", "_separable"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_both_ordinary_forms_of_a_separable_mixture_are_that_function(form, order, generator):
    draw = {"generator": generator, "dtype": torch.float64}
    alpha, kernels = torch.randn((order + 1) * (order + 2) // 2, 4, 3, **draw), torch.randn(order + 1, 5, **draw)
    bias, x = torch.randn(4, **draw), torch.randn(2, 3, 9, 11, **draw)
    expected = separable_conv(x, alpha, kernels, bias)
    torch.testing.assert_close(getattr(forms, form)(alpha, kernels, bias)(x), expected, atol=1e-11, rtol=0)


def test_the_form_with_fewer_products_is_taken():
    def form(order, channels, taps):
        alpha = torch.rand((order + 1) * (order + 2) // 2, channels, channels)
        return type(forms.separable_as_ordinary(alpha, torch.rand(order + 1, taps), torch.rand(channels)))

    assert form(1, 64, 11) is form(1, 4, 3) is form(4, 64, 11) is nn.Sequential
    assert form(1, 2, 3) is form(4, 64, 3) is nn.Conv2d


def test_a_file_that_differs_is_not_kept(monkeypatch, tmp_path):
    right = OrdinaryNetwork.forward

    def wrong(self, x):
        return right(self, x) + 0.001

    monkeypatch.setattr(OrdinaryNetwork, "forward", wrong)
    with pytest.raises(InputError, match=r"net.onnx: not written, because it differs from the network by 1.0e-03"):
        export_network(small("PlainUNet"), tmp_path / "net.onnx", size=(16, 16))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def bundle(tmp_path):
    """A bundle with the weights of a small plain U-Net, and its options."""
    shutil.copytree(CONFIGS, tmp_path / "bundle" / "configs")
    save_checkpoint(PlainUNet(width=4).state_dict(), tmp_path / "bundle" / "models" / "model.pt")
    return ["export", "--bundle", str(tmp_path / "bundle"), "--network", "plain_unet", "--width", "4"]


def test_the_command_exports_and_refuses_to_overwrite(bundle, tmp_path, capsys):
    command = [*bundle, "--output", str(tmp_path / "new" / "net.ts"), "--size", "32", "48"]
    assert main(command) == 0
    assert "net.ts: PlainUNet as TorchScript, logits; differs from the network by " in capsys.readouterr().out
    assert main(command) == 2 and "exists already; give another name or --overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--fused"]) == 0
    assert "PlainUNet as TorchScript, probabilities; differs" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net.ts"]


def test_a_name_is_chosen_and_every_step_is_said(bundle, tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        assert main(bundle) == 0
    assert capsys.readouterr().out.startswith("plain_unet.ts: PlainUNet as TorchScript, logits; differs from the ")
    steps = [message.split()[0] for message in caplog.messages if "plain_unet.ts" in message]
    assert steps == ["load", "write", "compare"]
    chosen = "format ts (TorchScript, needs torch alone); --format gives another: onnx, bioimageio, instanseg"
    assert chosen in caplog.messages
    caplog.clear()
    weights = str(tmp_path / "bundle" / "models" / "model.pt")
    assert main([*bundle, "--format", "onnx", "--checkpoint", weights]) == 0
    assert not [message for message in caplog.messages if message.startswith("format")], "the control"
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"plain_unet.ts", "model.onnx"}
    assert main(bundle) == 2 and "plain_unet.ts: exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--network", "unet"], "unet.json: no such overlay"),
        (["--network", "xyz"], "xyz.json: no such overlay; choose one of baseline_unet, "),
        (["--bundle", "/nowhere"], "/nowhere: holds no configs/"),
        (["--width", "5"], "model.pt: checkpoint of another network than this PlainUNet"),
        (["--checkpoint", "gone.pt"], "gone.pt: no such checkpoint"),
        (["--output", "net.h5"], "net.h5: unknown format; give a file that ends in .ts, .pt, .onnx, or --format"),
        (["--format", "onnx"], "net.ts: no name for a file of format onnx; give one that ends in .onnx"),
        (["--set", "group"], "setting 'group': give the value after an equals sign, as group=VALUE"),
        (["--set", "grou=p4"], "setting 'grou': no such id in the config"),
        (["--set", "network_def#group=p4"], "'network_def' cannot be made (PlainUNet.__init__() got an unexpected"),
        (["--network", "seunet", "--width", "7"], "width 7 does not divide into 5 scale groups"),
        (["--size", "0", "16"], "size is 0 x 16"),
        (["--fused", "--set", "fusion=mean"], "fusion is 'mean'; choose one of arithmetic, "),
        (["--width", "0"], "give a width above 0"),
        (["--overlay", "data/moon"], "moon.json: no such overlay; choose one of demo, "),
        (["--overlay", "data/dsb_fluorescence"], "'encoder.0.0.conv.weight' is [4, 3, 3, 3] in the file and [4, 1, "),
        (["--network", "roto_scale_unet", "--width", "44"], "of 8 orientations; the nearest is 40"),
    ],
)
def test_mistakes_are_one_line(bundle, changes, message, tmp_path, refused):
    refused(main([*bundle, "--output", str(tmp_path / "net.ts"), *changes]), message)
    assert not list(tmp_path.glob("net*"))


def test_a_model_is_chosen_as_for_segment(tmp_path, capsys):
    command = ["export", "--output", str(tmp_path / "net.ts"), "--format", "ts", "--overwrite"]
    assert main([*command, "--model", "nuclei_fluorescence"]) == 0 and main(command) == 0
    told = capsys.readouterr().out
    assert "model nuclei_fluorescence: nuclei in fluorescence, one channel (CC0, any use)" in told
    assert "model nuclei_he_free: " in told
    assert torch.jit.load(tmp_path / "net.ts")(torch.rand(1, 3, 32, 32)).shape == (1, 6, 4, 32, 32)


def test_settings_reach_the_network(bundle, tmp_path, capsys):
    net = SEUNet(width=4, scales_per_octave=2, pooling="average")
    save_checkpoint(net.state_dict(), tmp_path / "seunet.pt")
    overlay = tmp_path / "bundle" / "configs" / "networks" / "mine.json"
    overlay.write_text(json.dumps({"network_def#_target_": "SEUNet"}))
    options = ["--network", "mine", "--checkpoint", str(tmp_path / "seunet.pt"), "--size", "16", "16"]
    settings = ["--set", "num_octaves=1", "--set", "scales_per_octave=2", "--set", "network_def#pooling=average"]
    assert main([*bundle, *options, *settings, "--output", str(tmp_path / "net.onnx")]) == 0
    assert "SEUNet as ONNX, logits" in capsys.readouterr().out


def test_an_id_that_is_null_can_be_set(bundle):
    config = read_config(bundle[2], "plain_unet", settings={"mpp": 0.5})
    assert config["mpp"] == 0.5
