"""Export of a network as TorchScript or ONNX, with a check of the file."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from monai_seunet.export.folder import check_target
from monai_seunet.fusion import STRATEGIES, fuse_outputs
from monai_seunet.networks.unet.base import Network
from monai_seunet.networks.unet.ordinary import OrdinaryNetwork, trace_ordinary
from monai_seunet.utils.errors import InputError, make_folder, missing
from monai_seunet.utils.files import atomic_write

TOLERANCE = 1e-4
OPSET = 18
SUFFIXES = {".ts": "TorchScript", ".pt": "TorchScript", ".onnx": "ONNX"}

logger = logging.getLogger(__name__)

Run = Callable[[torch.Tensor], torch.Tensor]


def export_network(
    network: Network,
    path: str | Path,
    fusion: str | None = None,
    size: Sequence[int] = (128, 128),
    overwrite: bool = False,
    directions: bool = True,
    first: nn.Module | None = None,
) -> float | None:
    """Export a network as ordinary convolutions for any batch size, height and width.

    The exported network is checked on random images of two sizes before the file gets its name.

    Args:
        network: network in evaluation mode on the CPU.
        path: file to write, `.ts` or `.pt` for TorchScript and `.onnx` for ONNX.
        fusion: fusion strategy of the output, probabilities (B, N, H, W); None for the logits of all scale groups.
        size: height and width of the images for the check.
        overwrite: whether to replace an existing file.
        directions: whether the output has the directions of a network that gives them.
        first: module that changes the image before the network; it is exported with the network.

    Returns:
        The largest difference from the network, relative to outputs above 1, or None for ONNX without onnxruntime.

    Raises:
        InputError: for an unknown suffix or fusion, a size too small for the octaves of the network, an existing file,
            or a difference above 1e-4.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: unknown format; give a file that ends in {', '.join(SUFFIXES)}")
    check_target(path, (), overwrite)
    if fusion is not None and fusion not in STRATEGIES:
        raise InputError(f"fusion is '{fusion}'; choose one of {', '.join(STRATEGIES)}")
    if path.suffix == ".onnx" and importlib.util.find_spec("onnx") is None:
        raise missing("onnx", "onnx")
    _check_size(network, size)
    make_folder(path.parent)
    ordinary = OrdinaryNetwork(network, fusion, directions, first)
    channels, stride = int(network.in_channels), int(network.stride)
    images = [torch.rand(1, channels, *size), torch.rand(2, channels, size[0] + stride, size[1] + 2)]
    with atomic_write(path) as temporary, torch.no_grad(), warnings.catch_warnings():
        # TorchScript writes both formats. It is deprecated, but its successor took ten times as long for ONNX.
        warnings.simplefilter("ignore")
        logger.info("write %s as %s", path.name, SUFFIXES[path.suffix])
        if path.suffix == ".onnx":
            _write_onnx(ordinary, images[0], temporary)
            run = _onnx_run(temporary)
        else:
            trace_ordinary(ordinary).save(temporary)
            run = torch.jit.load(temporary)
        if run is not None:
            logger.info("compare %s with the network", path.name)
        difference = run and max(_difference(run, network, ordinary, image) for image in images)
        if difference is not None and not difference <= TOLERANCE:
            raise InputError(
                f"{path}: not written, because it differs from the network by {difference:.1e}, above {TOLERANCE:g}"
            )
    return difference


def _check_size(network: Network, size: Sequence[int]) -> None:
    """Refuse a size at which the network leaves out octaves, which would not be checked."""
    if min(size) < network.least_side():
        raise InputError(
            f"size is {size[0]} x {size[1]}, too small for octave {max(network.head_octaves())} of the network; "
            f"give at least {network.least_side()} pixels"
        )


def _write_onnx(ordinary: nn.Module, image: torch.Tensor, path: Path) -> None:
    axes = {0: "batch", ordinary(image).dim() - 2: "height", ordinary(image).dim() - 1: "width"}
    output = "probabilities" if ordinary.fused else "logits"
    torch.onnx.export(
        ordinary,
        (image,),
        path,
        dynamo=False,
        opset_version=OPSET,
        input_names=["image"],
        output_names=[output],
        dynamic_axes={"image": {0: "batch", 2: "height", 3: "width"}, output: axes if len(axes) == 3 else {0: "batch"}},
    )


def _onnx_run(path: Path) -> Run | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(path)
    return lambda image: torch.from_numpy(session.run(None, {"image": image.numpy()})[0])


def _difference(run: Run, network: Network, ordinary: OrdinaryNetwork, image: torch.Tensor) -> float:
    inputs = image if ordinary.first is None else ordinary.first(image)
    expected = network.heads(inputs) if ordinary.left_out else network.outputs(inputs)
    if ordinary.fused:
        groups = expected if expected.dim() == 5 else expected.unsqueeze(1)
        classes = groups.shape[2] - ordinary.direction_channels
        expected = fuse_outputs(groups, classes, ordinary.fusion if expected.dim() == 5 else "arithmetic")
    result = run(image)
    if result.shape != expected.shape:
        raise InputError(f"the exported network returns {list(result.shape)} instead of {list(expected.shape)}")
    return float((result - expected).abs().max() / expected.abs().max().clamp(min=1))
