"""Segmenters from the config of a bundle, for commands and servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from monai_seunet.config.read import content, read_config, trained_network
from monai_seunet.slides.segmenter import SlideSegmenter


def configure_segmenter(
    bundle: str | Path,
    network: str,
    width: int | None = None,
    checkpoint: str | Path | None = None,
    overlays: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> tuple[SlideSegmenter, Path]:
    """Return the segmenter of `inference_wsi.json` with loaded weights, and the file of the weights.

    Args:
        bundle: folder of the bundle with `configs/`.
        network: name of a file in `configs/networks`.
        width: number of channels of the finest level; None for the value of the config.
        checkpoint: file of the weights; None for the file of the config.
        overlays: names of further files in `configs`.
        settings: values of further ids of the config.

    Raises:
        InputError: the weights are missing or fit another network; and the errors of `read_config`.
    """
    config = read_config(bundle, network, width, settings, overlays, job="inference_wsi")
    _, path = trained_network(config, checkpoint)  # a later change of the config would build another network
    torch.set_flush_denormal(True)
    torch.set_num_threads(content(config, "threads"))
    segmenter: SlideSegmenter = content(config, "segmenter")
    models = [name.removeprefix("weights/") for name in overlays if name.startswith("weights/")]
    own = checkpoint is not None or "checkpoint" in (settings or {})
    title = str(path) if own or not models else models[-1]
    return replace(segmenter, model=replace(segmenter.model, title=title)), path
