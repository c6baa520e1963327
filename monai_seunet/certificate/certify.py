"""Certification of trained weights: measurement, drawing and logging."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from monai_seunet.certificate.build import make_certificate, take_pictures
from monai_seunet.certificate.measure import tried_shifts
from monai_seunet.certificate.page import draw_certificate
from monai_seunet.certificate.subject import fit_untrained_norms, read_control, read_images, read_subject
from monai_seunet.certificate.tracking import log_certificate
from monai_seunet.config.read import content, read_config
from monai_seunet.config.texts import read_settings
from monai_seunet.report.files import save_figure
from monai_seunet.tracking.client import sqlite_uri
from monai_seunet.tracking.evaluation import training_run
from monai_seunet.utils.errors import InputError, make_folder
from monai_seunet.utils.files import write_text


def certify(options: argparse.Namespace) -> dict[str, Any]:
    """Certify the weights that the command line names: write two files and log them to MLflow.

    Raises:
        InputError: for an option that cannot be used.
    """
    output: Path = make_folder(options.output)
    config = read_config(
        options.bundle, options.network, options.width, read_settings(options.settings), options.overlays
    )
    subject = read_subject(config, options.network, options.checkpoint)
    control = read_control(
        options.bundle,
        options.control_network,
        options.width if options.control_width is None else options.control_width,
        subject,
        content(config, "num_classes"),
        options.control_checkpoint,
    )
    stride = max(subject.stride, control.stride)
    least = max(4 * int(subject.network.level_stride), 3 * stride)
    if options.crop < least or options.crop % stride:
        raise InputError(f"crop is {options.crop}; give a multiple of the networks' stride {stride}, {least} or more")
    data, images = read_images(
        config, options.data, options.images, options.crop + max(tried_shifts(options.crop, stride))
    )
    fit_untrained_norms(control, images)
    torch.set_flush_denormal(True)  # as in inference; trained norms produce denormals, which are ten times slower
    try:
        certificate = make_certificate(subject, control, images, data, options.crop)
    finally:
        torch.set_flush_denormal(False)
    page = draw_certificate(certificate, take_pictures(subject, control, images[0], options.crop))
    files = [save_figure(page, output / "certificate.png"), output / "certificate.json"]
    write_text(files[1], json.dumps(certificate, indent=1) + "\n")
    uri = options.tracking_uri or sqlite_uri(output / "mlruns.db")
    assert subject.checkpoint is not None  # read_subject sets it
    log_certificate(certificate, files, uri, training_run(subject.checkpoint))
    return certificate
