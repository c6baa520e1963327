"""The segmenter that a bundle's config describes, for commands and servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from monai_seunet.config.read import content, read_config
from monai_seunet.config.texts import literal
from monai_seunet.networks.checkpoints import load_weights
from monai_seunet.slides.segmenter import SlideSegmenter


def configure_segmenter(
    bundle: str | Path,
    network: str,
    width: int | None = None,
    checkpoint: str | Path | None = None,
    overlays: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> tuple[SlideSegmenter, Path]:
    """What `inference_wsi.json` makes of the options, with its weights; and the file of these.

    Args:
        bundle: folder that holds `configs/`.
        network: name of a file in `configs/networks`.
        width: channels of the finest level; None for that of the config.
        checkpoint: weights; None for those of the config.
        overlays: names of further files in `configs`.
        settings: values of further ids of the config.

    Raises:
        InputError: as `read_config`, and for weights that are missing or of another network.
    """
    config = read_config(bundle, network, width, settings, overlays, job="inference_wsi")
    if checkpoint:
        config["checkpoint"] = literal(str(checkpoint))
    path = Path(content(config, "checkpoint"))
    load_weights(content(config, "network_def"), path)  # a change of the config from here on would make it anew
    torch.set_flush_denormal(True)
    torch.set_num_threads(content(config, "threads"))
    return content(config, "segmenter"), path
