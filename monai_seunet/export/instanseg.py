"""Export of a segmentation as the folder that QuPath's InstanSeg extension loads."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monai_seunet.export.folder import DESCRIPTION, INSTANSEG, INSTANSEG_MODEL, replaced
from monai_seunet.export.model_card import ModelCard
from monai_seunet.export.scripted.grouping import NucleusGrouping
from monai_seunet.export.scripted.maps import NucleusMaps, trace_maps
from monai_seunet.export.scripted.model import NucleusModel
from monai_seunet.export.scripted.stains import StainNormalization
from monai_seunet.export.write import TOLERANCE
from monai_seunet.fusion import fuse_outputs
from monai_seunet.networks.unet.base import Network
from monai_seunet.networks.unet.parts import DIRECTION_CHANNELS
from monai_seunet.slides.model import SlideModel
from monai_seunet.slides.nuclei.areas import CERTAIN
from monai_seunet.slides.nuclei.direct import ONE
from monai_seunet.slides.options import SlideOptions
from monai_seunet.transforms.stain.profile import as_target
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

# µm per pixel where those of the training images are not known; cultured nuclei then have 20 to 40 pixels across.
PIXEL_SIZE = 0.5
MEASUREMENTS = ("confidence", "scale group")

logger = logging.getLogger(__name__)


def export_instanseg(
    model: SlideModel,
    options: SlideOptions,
    folder: str | Path,
    card: ModelCard,
    overwrite: bool = False,
) -> float:
    """Write the folder of a segmentation that needs torch alone: preprocessing, network, fusion and nuclei.

    The network in the file is checked on random images of two sizes before anything is written.

    Args:
        model: network with directions on the CPU, with its preprocessing.
        options: µm per pixel of the network, and the rules for nuclei.
        folder: folder to write, with `instanseg.pt`, `rdf.yaml` and a text for users.
        card: name, licence and training data of the weights.
        overwrite: whether to replace an existing model, see `replaced`.

    Returns:
        The largest difference of a probability or a direction from the network, without rounding to 8 bits.

    Raises:
        InputError: the network has no directions or takes haematoxylin densities, the folder holds other
            files, or the network in the file differs.
    """
    folder = Path(folder)
    _check(model)
    pixel_size = options.network_mpp or PIXEL_SIZE
    with replaced(folder, INSTANSEG, overwrite) as temporary:
        logger.info("write network and preprocessing as TorchScript")
        scripted = script_model(model, options, card.name, pixel_size)
        logger.info("compare the model with the network")
        difference = _difference(scripted, model.network, model.fusion)
        if not difference <= TOLERANCE:
            raise InputError(
                f"{folder}: not written, because the network in it differs by {difference:.1e}, above {TOLERANCE:g}"
            )
        scripted.save(temporary / INSTANSEG_MODEL)
        logger.info("run the test image, and write the description")
        _write_example(temporary, scripted, _example(model.channels))
        described = card.description(model.channels == 3, ("instance-segmentation",))
        described["documentation"] = f"{described['name']}_README.md"  # the extension shows the file of this name
        write_text(temporary / described["documentation"], _text(model, card, pixel_size))
        described |= _tensors(model, pixel_size, temporary)
        write_text(temporary / DESCRIPTION, json.dumps(described, indent=2, ensure_ascii=False) + "\n")  # JSON is YAML
    return difference


def script_model(model: SlideModel, options: SlideOptions, name: str, pixel_size: float) -> torch.jit.ScriptModule:
    """Return the segmentation of tiles as TorchScript, see `NucleusModel`."""
    preprocessing = model.preprocessing
    rules = options.nuclei.at_unknown(pixel_size)
    stains = None if preprocessing.stain_target is None else StainNormalization(as_target(preprocessing.stain_target))
    nuclei = NucleusModel(
        name=name,
        channels=model.channels,
        maps=trace_maps(NucleusMaps(model.network, model.fusion)),
        grouping=NucleusGrouping(rules, model.num_scales),
        stains=stains,
        standardise=preprocessing.standardise,
        pixel_size=pixel_size,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and ignores types of attributes
        scripted: torch.jit.ScriptModule = torch.jit.script(nuclei.eval())
    return scripted


def _check(model: SlideModel) -> None:
    if not model.network.directions:
        raise InputError(
            f"{model.name} gives no directions to the centres, by which this format separates nuclei; choose a model "
            "with directions, such as --model nuclei_he_free"
        )
    if model.preprocessing.haematoxylin:
        raise InputError("haematoxylin is true, but this format has no haematoxylin densities; choose another model")


def _difference(scripted: Any, network: Network, fusion: str) -> float:
    """Return the largest difference of the maps in a model from those of the network, above their rounding."""
    stride, most = int(network.stride), 0.0
    for size in ((128, 128), (96 + stride, 131)):
        image = torch.rand(1, network.in_channels, *size)
        padding = [(0, 0), (0, 0), *((0, -length % stride) for length in size)]  # as a slide at its lower right end
        padded = torch.from_numpy(np.pad(image.numpy(), padding, mode="symmetric"))
        with torch.no_grad():
            foreground, directions, _ = scripted.maps(image)
            outputs = network.outputs(padded)[..., : size[0], : size[1]]
        groups = outputs if outputs.dim() == 5 else outputs.unsqueeze(1)
        classes = groups.shape[2] - DIRECTION_CHANNELS
        fused = fuse_outputs(groups, classes, fusion if outputs.dim() == 5 else "arithmetic")
        pairs = [(foreground / CERTAIN, fused[:, 1:classes].sum(1), CERTAIN * 2 / (classes - 1))]
        pairs.append((directions / ONE, fused[:, classes:].clamp(-1, 1), ONE * 2))
        for got, expected, levels in pairs:
            most = max(most, float((got - expected).abs().max()) - 1 / levels)
    return max(most, 0.0)


def _example(channels: int) -> torch.Tensor:
    """Return a drawn tile (1, C, 96, 96) with values as the extension gives them."""
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    nuclei = torch.zeros(96, 96)
    for y, x, radius in ((24, 26, 11), (30, 68, 13), (70, 40, 12), (72, 52, 9)):
        nuclei = torch.maximum(nuclei, ((radius + 1 - torch.hypot(rows - y, columns - x)) / 2).clamp(0, 1))
    if channels == 1:
        return (0.05 + 0.9 * nuclei).expand(1, 1, 96, 96).contiguous()
    tissue, stained = torch.tensor([0.9, 0.7, 0.85]), torch.tensor([0.15, 0.1, 0.3])
    return torch.lerp(tissue.view(1, 3, 1, 1), stained.view(1, 3, 1, 1), nuclei)


def _write_example(folder: Path, scripted: torch.jit.ScriptModule, image: torch.Tensor) -> None:
    """Write the tensors by which programs test the model."""
    np.save(folder / "test_input.npy", image.numpy())
    with torch.no_grad():
        for kind, values in zip(("labels", "measurements"), scripted(image), strict=True):
            np.save(folder / f"test_{kind}.npy", values.numpy())


def _text(model: SlideModel, card: ModelCard, pixel_size: float) -> str:
    """Return the text that the extension shows."""
    channels = (
        "red, green and blue" if model.channels == 3 else f"{model.channels} channel(s); choose that of the nuclei"
    )
    return (
        f"# {card.name}\n\nSegments {card.task}. Licence of the weights: {card.licence}.\n\n"
        f"Training data: {card.data or 'not stated'}.\n\nChannels: {channels}.\n"
        f"Pixel size: {pixel_size:g} µm. Images without a pixel size are segmented as they are.\n\n"
        "Measurements: `Logit: confidence` is the mean probability of a nucleus. `Logit: scale group` is the scale\n"
        "group that decided most of its pixels; small numbers are small nuclei.\n\nMade by monai_seunet.\n"
    )


def _tensors(model: SlideModel, pixel_size: float, folder: Path) -> dict[str, Any]:
    """Return what rdf.yaml says of the inputs, outputs and weights, by BioImage.IO 0.5."""

    def file(path: str) -> dict[str, str]:
        return {"source": path, "sha256": hashlib.sha256((folder / path).read_bytes()).hexdigest()}

    def space(axis: str, size: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "space", "id": axis, "size": size, "unit": "micrometer", "scale": pixel_size}

    def like_input(axis: str) -> dict[str, Any]:
        return space(axis, {"tensor_id": "raw", "axis_id": axis, "offset": 0})

    measured = list(MEASUREMENTS[: 2 if model.num_scales > 1 else 1])
    names = ["red", "green", "blue"] if model.channels == 3 else [f"channel{n}" for n in range(model.channels)]
    scaling = {"axes": ["x", "y"], "min_percentile": 0.1, "max_percentile": 99.9, "eps": 1e-6}
    return {
        "type": "model",
        "format_version": "0.5.3",
        "inputs": [{
            "id": "raw",
            "axes": [
                {"type": "batch"},
                {"type": "channel", "id": "channel", "channel_names": names},
                space("y", {"min": 32, "step": 1}),
                space("x", {"min": 32, "step": 1}),
            ],
            "data": {"type": "float32"},
            "preprocessing": [{"id": "scale_range", "kwargs": scaling}],
            "test_tensor": file("test_input.npy"),
        }],
        "outputs": [
            {
                "id": "instance_segmentation",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "id": "channel", "channel_names": ["nuclei"]},
                    like_input("y"),
                    like_input("x"),
                ],
                "test_tensor": file("test_labels.npy"),
            },
            {
                "id": "detection_logits",
                "axes": [
                    {"type": "batch"},
                    {"type": "index", "id": "nuclei", "size": {"min": 1}},
                    {"type": "index", "id": "measurements", "size": len(measured)},
                ],
                # The extension takes the names of the measurements here; names are valid for whole numbers alone.
                "data": {"type": "uint8", "values": measured},
                "test_tensor": file("test_measurements.npy"),
            },
        ],
        "weights": {"torchscript": {**file(INSTANSEG_MODEL), "pytorch_version": torch.__version__.partition("+")[0]}},
        "config": {"qupath": {"axes": [{"axis": axis, "step": pixel_size, "unit": "um"} for axis in ("x", "y")]}},
    }  # fmt: skip
