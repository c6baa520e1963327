"""The command `monai-seunet segment`, and what `inference_wsi.json` runs."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monai_seunet.checkpoints import load_weights
from monai_seunet.configured import add_network_options, content, read_config
from monai_seunet.errors import InputError, make_folder
from monai_seunet.flags import flag
from monai_seunet.slides.cases import Case, find_cases
from monai_seunet.slides.cohort import Outcome, run_here, run_on_cluster
from monai_seunet.slides.segmenter import SlideSegmenter

# options of the command that are ids of `inference_wsi.json`
IDS = {"mpp": "source_mpp", "power": "source_power", "tissue": "tissue", "window": "window", "workers": "workers"}


@dataclass(frozen=True)
class Job:
    """Segments one slide of a cohort into its folder; can be sent to another process."""

    segmenter: SlideSegmenter
    output: Path
    overwrite: bool

    def __call__(self, case: Case) -> dict[str, Any]:
        """Return the content of `result.json`."""
        return self.segmenter.run(case.path, self.output / case.name, self.overwrite, case.mpp)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("segment", help="nuclei, maps and a summary of slides of any size")
    parser.add_argument("slides", nargs="+", type=Path, metavar="INPUT", help="slide, image, folder or CSV of slides")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="gets a folder for each slide")
    add_network_options(parser)
    parser.add_argument("--mpp", help="µm per pixel of the slides, above what the files say; auto estimates it")
    parser.add_argument("--power", type=float, help="magnification of the objective instead, as 40")
    parser.add_argument("--tissue", choices=("otsu", "all"), help="where to look; all: the whole slide")
    parser.add_argument("--window", type=int, help="side of the windows in pixels")
    parser.add_argument("--workers", type=int, help="processes that find nuclei beside the network")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://host:8786")
    parser.add_argument("--overwrite", action="store_true", help="start again where results are")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Segment as the command line asks for.

    Returns:
        0, or 1 where a slide failed.

    Raises:
        InputError: for a mistake in the options.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given = [f"{name}={getattr(options, key)}" for key, name in IDS.items() if getattr(options, key) is not None]
    settings = [*given, *options.settings]
    config = read_config(
        options.bundle, options.network, options.width, settings, options.overlays, job="inference_wsi"
    )
    load_weights(content(config, "network_def").eval(), options.checkpoint or content(config, "checkpoint"))
    torch.set_flush_denormal(True)
    torch.set_num_threads(content(config, "threads"))
    outcomes = segment_cohort(
        content(config, "segmenter"), options.slides, options.output, options.scheduler, options.overwrite
    )
    return int(any(outcome.result is None for outcome in outcomes))


def segment_cohort(
    segmenter: SlideSegmenter,
    slides: Sequence[str | Path],
    output: str | Path,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> list[Outcome]:
    """Segment slides here or on a cluster; what is finished is left as it is.

    Args:
        segmenter: for all of them.
        slides: see `find_cases`.
        output: gets a folder for each slide.
        scheduler: address of a Dask cluster; None for this machine.
        overwrite: start again where results are.

    Raises:
        InputError: for inputs, an output or a cluster that cannot be used.
    """
    cases = find_cases(slides)
    job = Job(segmenter, make_folder(output).absolute(), overwrite)
    outcomes = []
    for outcome in run_on_cluster(job, cases, scheduler) if scheduler else run_here(job, cases):
        outcomes.append(outcome)
        print(_line(outcome), flush=True)
    failed = [outcome for outcome in outcomes if outcome.result is None]
    if len(cases) > 1:
        print(f"{len(cases) - len(failed)} of {len(cases)} slides are done; results in {output}")
    return outcomes


def segment_all(
    segmenter: SlideSegmenter, slides: str | Sequence[str], output: str, scheduler: str | None, overwrite: bool | str
) -> None:
    """What the bundle runs.

    Raises:
        InputError: as `segment_cohort`, and where a slide failed, after all others are done.
    """
    named = [slides] if isinstance(slides, str) else list(slides)
    failed = [o for o in segment_cohort(segmenter, named, output, scheduler, flag(overwrite)) if o.result is None]
    if failed:
        raise InputError("; ".join(f"{outcome.case.path.name}: {outcome.problem}" for outcome in failed))


def _line(outcome: Outcome) -> str:
    if outcome.result is None:
        return f"failed: {outcome.problem}"
    result = outcome.result
    notes = "".join(f"; {note}" for note in result["notes"])
    return f"{outcome.case.name}: {result['objects']} nuclei, {result['resolution']}{notes}"
