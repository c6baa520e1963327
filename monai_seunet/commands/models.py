"""The command `monai-seunet models`."""

from __future__ import annotations

import argparse

from monai_seunet.commands.network_options import add_bundle_option
from monai_seunet.config.defaults import DEFAULT_MODEL
from monai_seunet.config.models import trained_models


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models`."""
    add_bundle_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """List the models of the bundle with their licences and scores on images that they have not seen."""
    for model in trained_models(options.bundle).values():
        default = " (default)" if model.name == DEFAULT_MODEL else ""
        print(f"{model.name}{default}: {model.task}")
        print(f"  licence: {model.terms}; trained on {model.data}")
        for data, (aji, pq, f1) in model.scores.items():
            print(f"  {data}: AJI {aji:.1f}, PQ {pq:.1f}, F1 {f1:.1f} %")
