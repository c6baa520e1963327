"""Export of a network as a BioImage.IO model, for Fiji (deepImageJ), ilastik and Python (bioimageio.core)."""

from __future__ import annotations

import importlib
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch

from monai_seunet.export.folder import BIOIMAGEIO, DESCRIPTION, replaced
from monai_seunet.export.model_card import ModelCard
from monai_seunet.export.tile_stain import TileStainNormalization
from monai_seunet.export.write import OPSET, export_network
from monai_seunet.networks.unet.base import Network
from monai_seunet.transforms.stain import StainProfile
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text
from monai_seunet.writers.raster import write_raster

HALO = 192  # pixels on every side that programs discard: the groups of the coarsest octave and `p_conf` read that far
SIDE = 512  # least side of the test image in pixels
EPSILON = 1e-6  # added to the standard deviation
TAGS = ("fiji", "imagej", "deepimagej", "ilastik", "semantic-segmentation")
LEVELS = 255  # white of an image of 8 bits

logger = logging.getLogger(__name__)


def export_bioimageio(
    network: Network,
    folder: str | Path,
    fusion: str,
    card: ModelCard,
    stain_target: str | Path | None = None,
    standardise: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a folder with a BioImage.IO model of format 0.5 and check it.

    The model takes images (B, C, H, W) as they come from the microscope, RGB from 0 to 255 or one grey channel, and
    gives the fused probabilities of the classes (B, N, H, W). The description declares the normalisation of the
    intensities, the sizes of tiles and their halo, so each program applies them itself. The stain is normalised inside
    the network, for every tile.
    Limits: directions to the centres are left out, because ilastik and ImageJ show every channel as a class.

    Args:
        network: segmentation network in evaluation mode on the CPU, with 1 or 3 input channels.
        folder: folder to write.
        fusion: strategy that fuses the scale groups.
        card: name, licence and other facts for people.
        stain_target: JSON file of the stain colours that images get; None leaves the colours.
        standardise: bring each image to mean 0 and standard deviation 1; else 0 to 255 become 0 to 1.
        overwrite: whether to replace an existing model, see `replaced`.

    Returns:
        The folder.

    Raises:
        InputError: bioimageio.spec is not installed, the network or its card has no such description, or the folder
            holds other files.
    """
    _require_spec()
    folder = Path(folder)
    if network.in_channels not in (1, 3):
        raise InputError(f"the network takes {network.in_channels} channels; a BioImage.IO model is written for 1 or 3")
    stain = None if stain_target is None else TileStainNormalization(StainProfile.load(stain_target))
    image = example_image(network.in_channels, tile_sizes(network.stride)[0], network.stride)
    with replaced(folder, BIOIMAGEIO, overwrite) as temporary:
        for name in ("weights.pt", "weights.onnx"):
            if export_network(network, temporary / name, fusion, directions=False, first=stain) is None:
                raise InputError('the ONNX file is not checked; pip install "monai-seunet[onnx]"')
        logger.info("run the test image")
        probabilities = _run(temporary / "weights.pt", image, standardise)
        if probabilities.ndim != 4:
            raise InputError(f"{type(network).__name__} gives no map; choose a segmentation network")
        _write_example(temporary, image, probabilities)
        names = card.class_names(probabilities.shape[1])
        fused_by = fusion if network.has_scale_groups else None
        page = card.page(network.in_channels == 3, stain is not None, fused_by, names, tile_sizes(network.stride)[1])
        write_text(temporary / "README.md", page)
        logger.info("write and check the description")
        _write_description(temporary, network, names, card, standardise)
    return folder


def tile_sizes(stride: int) -> tuple[int, int]:
    """Return the least side of a tile and its halo, multiples of the stride, in pixels.

    >>> tile_sizes(64)
    (448, 192)
    """
    halo = -(-HALO // stride) * stride
    return 2 * halo + stride, halo


def example_image(channels: int, least: int, step: int) -> np.ndarray:
    """Return a real image (1, C, H, W) uint8 of stained tissue, or the density of its haematoxylin as grey image.

    Args:
        channels: 3 for RGB, 1 for grey.
        least: least side in pixels.
        step: the side is `least` and a multiple of this.

    >>> example_image(1, 448, 64).shape
    (1, 1, 512, 512)
    """
    from skimage.color import rgb2hed
    from skimage.data import immunohistochemistry

    image = np.moveaxis(immunohistochemistry(), -1, 0)
    if channels == 1:
        density = rgb2hed(image, channel_axis=0)[:1].clip(0)
        image = np.round(LEVELS * density / density.max()).astype(np.uint8)
    side = least + max(0, -(-(SIDE - least) // step)) * step
    height, width = (max(0, side - length) for length in image.shape[1:])
    return np.pad(image, ((0, 0), (0, height), (0, width)), mode="symmetric")[None, :, :side, :side]


def normalised(image: np.ndarray, standardise: bool) -> np.ndarray:
    """Normalise intensities (B, C, H, W) as the description declares it, to float32."""
    values = image.astype(np.float32)
    if not standardise:
        return values / np.float32(LEVELS)
    axes = (1, 2, 3)
    return (values - values.mean(axes, keepdims=True)) / (values.std(axes, keepdims=True) + EPSILON)


def _require_spec() -> None:
    try:
        importlib.import_module("bioimageio.spec")
    except ImportError as error:
        extra = 'pip install "monai-seunet[bioimageio]"'
        raise InputError(f"bioimageio.spec cannot be imported ({error}); {extra}") from error


def _run(weights: Path, image: np.ndarray, standardise: bool) -> np.ndarray:
    with torch.no_grad():
        result: torch.Tensor = torch.jit.load(weights)(torch.from_numpy(normalised(image, standardise)))
    return result.numpy()


def _write_example(folder: Path, image: np.ndarray, probabilities: np.ndarray) -> None:
    """Write the test tensors, an image for ImageJ, and the cover: the image beside its foreground."""
    np.save(folder / "test_input.npy", image)
    np.save(folder / "test_output.npy", probabilities)
    tifffile.imwrite(folder / "sample_input.tif", image[0], imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(folder / "sample_output.tif", probabilities[0], imagej=True, metadata={"axes": "CYX"})
    half = slice(0, 256)
    picture = np.broadcast_to(np.moveaxis(image[0], 0, -1), (*image.shape[2:], 3))[half, half]
    foreground = np.round(LEVELS * (1 - probabilities[0, 0, half, half, None])).astype(np.uint8)
    write_raster(folder / "cover.png", np.hstack([picture, np.broadcast_to(foreground, picture.shape)]))


def _write_description(folder: Path, network: Network, names: list[str], card: ModelCard, standardise: bool) -> None:
    """Write `rdf.yaml`, and read it back as programs do."""
    from bioimageio.spec import InvalidDescr, load_description, save_bioimageio_package_as_folder
    from bioimageio.spec.model import v0_5
    from pydantic import ValidationError

    torch_version = v0_5.Version(torch.__version__.partition("+")[0])
    weights = v0_5.WeightsDescr(
        torchscript=v0_5.TorchscriptWeightsDescr(source=folder / "weights.pt", pytorch_version=torch_version),
        onnx=v0_5.OnnxWeightsDescr(source=folder / "weights.onnx", opset_version=OPSET, parent="torchscript"),
    )
    try:
        model = v0_5.ModelDescr(
            **card.description(network.in_channels == 3, TAGS),
            documentation=v0_5.FileDescr(source=folder / "README.md"),
            covers=[v0_5.FileDescr(source=folder / "cover.png")],
            inputs=[_input(v0_5, folder, network, standardise)],
            outputs=[_output(v0_5, folder, network, names)],
            weights=weights,
        )
    except ValidationError as error:
        raise InputError(f"no BioImage.IO description: {'; '.join(_reasons(error))} ({_versions()})") from error
    package = save_bioimageio_package_as_folder(model, output_path=folder)
    written = load_description(package / DESCRIPTION)
    if isinstance(written, InvalidDescr):
        raise InputError(f"the BioImage.IO description is not valid: {written.get_reason()}")


def _versions() -> str:
    names = ", ".join(f"{name} {version(name)}" for name in ("bioimageio.spec", "pydantic"))
    return f'{names}; pip install "monai-seunet[bioimageio]" gives versions that work together'


def _reasons(error: Any) -> list[str]:
    return [f"{'.'.join(str(part) for part in entry['loc'])}: {entry['msg']}" for entry in error.errors()]


def _input(spec: Any, folder: Path, network: Network, standardise: bool) -> Any:
    least, _ = tile_sizes(network.stride)
    size = spec.ParameterizedSize(min=least, step=network.stride)
    if standardise:
        axes = [spec.AxisId(name) for name in ("channel", "y", "x")]
        step = spec.ZeroMeanUnitVarianceDescr(kwargs=spec.ZeroMeanUnitVarianceKwargs(axes=axes, eps=EPSILON))
    else:
        step = spec.ScaleLinearDescr(kwargs=spec.ScaleLinearKwargs(gain=1 / LEVELS))
    return spec.InputTensorDescr(
        id=spec.TensorId("image"),
        description="image as it comes from the microscope" + ("" if standardise else ", 0 to 255"),
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=["red", "green", "blue"] if network.in_channels == 3 else ["grey"]),
            *(spec.SpaceInputAxis(id=spec.AxisId(name), size=size, concatenable=True) for name in "yx"),
        ],
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(None, None) if standardise else (0, LEVELS)),
        preprocessing=[step],
        test_tensor=spec.FileDescr(source=folder / "test_input.npy"),
        sample_tensor=spec.FileDescr(source=folder / "sample_input.tif"),
    )


def _output(spec: Any, folder: Path, network: Network, class_names: list[str]) -> Any:
    _, halo = tile_sizes(network.stride)
    return spec.OutputTensorDescr(
        id=spec.TensorId("probabilities"),
        description="probabilities of the classes, fused over the scales; their sum is 1",
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=class_names),
            *(
                spec.SpaceOutputAxisWithHalo(
                    id=spec.AxisId(name),
                    halo=halo,
                    size=spec.SizeReference(tensor_id=spec.TensorId("image"), axis_id=spec.AxisId(name)),
                )
                for name in "yx"
            ),
        ],
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(0, 1)),
        test_tensor=spec.FileDescr(source=folder / "test_output.npy"),
        sample_tensor=spec.FileDescr(source=folder / "sample_output.tif"),
    )
