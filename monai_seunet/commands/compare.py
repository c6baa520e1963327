"""The command `monai-seunet compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from monai_seunet.commands.network_options import require_output_folder, require_paths
from monai_seunet.native.strategies import STRATEGIES
from monai_seunet.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `compare`."""
    parser.add_argument(
        "reports", nargs="+", type=Path, metavar="REPORT", help="folder of an evaluation, or report.json"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the result")
    parser.add_argument("--fusion", metavar="STRATEGY", help="fusion of all networks (default: that of each config)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compare evaluations, and print the table of methods."""
    require_paths(options.reports)
    require_output_folder(options.out)
    if options.fusion not in (None, *STRATEGIES):
        raise InputError(f"fusion is '{options.fusion}'; choose one of {', '.join(STRATEGIES)}")
    from monai_seunet.report.files import read_values

    for path in options.reports:
        read_values(path / "report.json" if path.is_dir() else path)
    from monai_seunet.report.compare import compare_results

    print(compare_results(options.reports, options.out, fusion=options.fusion).to_text())
