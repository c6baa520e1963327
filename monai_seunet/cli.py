"""The command `monai-seunet`: one subcommand a job, each added by the module that does it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from monai_seunet.certificate import command as certify
from monai_seunet.data import bcss, demo, demo_slide, dsb2018, folder, glas, monuseg, synthetic, threeclass, tnbc
from monai_seunet.data.prepare import Outcome
from monai_seunet.experiments import command as experiment
from monai_seunet.export import command as export
from monai_seunet.export import registry
from monai_seunet.native import command as doctor
from monai_seunet.report import compare
from monai_seunet.slides import command as slides
from monai_seunet.utils.errors import InputError

PREPARERS = (monuseg, tnbc, bcss, dsb2018, glas, threeclass, folder, demo, demo_slide, synthetic)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
        0 where all was fine, 1 where something was skipped, 2 where the user has to correct something first.
    """
    options = build_parser().parse_args(arguments)
    try:
        result = options.run(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if isinstance(result, Outcome):
        return _show(result)
    return result if isinstance(result, int) else 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = argparse.ArgumentParser(prog="monai-seunet", description="Scale-equivariant segmentation of histology")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    prepare = commands.add_parser("prepare", help="bring images and labels into the form that training reads")
    kinds = prepare.add_subparsers(title="data sets", metavar="KIND", required=True)
    for module in PREPARERS:
        module.register(kinds)
    compare.register(commands)
    certify.register(commands)
    export.register(commands)
    registry.register(commands)
    slides.register(commands)
    experiment.register(commands)
    doctor.register(commands)
    return parser


def _show(outcome: Outcome) -> int:
    for note in outcome.notes:
        print(f"note: {note}", file=sys.stderr)
    for problem in outcome.problems:
        print(f"warning: {problem}", file=sys.stderr)
    counts = ", ".join(f"{count} {section}" for section, count in outcome.counts.items())
    note = f"; {len(outcome.problems)} warning(s)" if outcome.problems else ""
    print(f"{outcome.destination}: {counts}{note}")
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
