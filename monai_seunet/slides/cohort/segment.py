"""Segmentation of a cohort of slides, for `monai-seunet segment` and `inference_wsi.json`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from monai_seunet.slides.cohort.cases import Case, find_cases
from monai_seunet.slides.cohort.check import check_cohort
from monai_seunet.slides.cohort.overview import TABLE, check_overview, write_overview
from monai_seunet.slides.cohort.run import CaseResult, Segment, segment_here
from monai_seunet.slides.outputs.results import SlideResult
from monai_seunet.slides.outputs.warnings import LEFT_OUT, are_many_left_out
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.utils.errors import InputError, make_folder, missing
from monai_seunet.utils.parsing import count
from monai_seunet.utils.progress import write_line


def segment_cohort(
    segmenter: SlideSegmenter,
    slides: Sequence[str | Path],
    output: str | Path,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> list[CaseResult]:
    """Segment slides on this machine or on a cluster; finished slides are kept.

    Args:
        segmenter: segmenter for all slides.
        slides: slides, folders or tables, see `find_cases`.
        output: folder for the folders of all slides.
        scheduler: address of a Dask cluster; None for this machine.
        overwrite: True to segment finished slides again.

    Raises:
        InputError: the inputs, the output or the cluster cannot be used.
    """
    return segment_cases(segmenter, find_cases(slides), output, scheduler, overwrite)


def segment_cases(
    segmenter: SlideSegmenter,
    cases: Sequence[Case],
    output: str | Path,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> list[CaseResult]:
    """Segment the slides of `find_cases`; see `segment_cohort`.

    Raises:
        InputError: the output, the options or the cluster cannot be used, or the model is for images of another kind.
        KeyboardInterrupt: the user stopped it; the table has all slides that were finished, and the text says so.
    """
    output = Path(output)
    check_overview(output)
    check_cohort(segmenter, cases, output, overwrite, here=scheduler is None)
    segment = partial(_segment, segmenter, make_folder(output).absolute(), overwrite, str(uuid.uuid4()))
    outcomes: list[CaseResult] = []
    try:
        for outcome in _on_cluster(segment, cases, scheduler) if scheduler else segment_here(segment, cases):
            outcomes.append(outcome)
            write_line(_line(outcome))  # above the progress bars
    except KeyboardInterrupt:
        table, _ = write_overview(output, outcomes)
        done = sum(outcome.result is not None for outcome in outcomes)
        again = f"the same command{' without --overwrite' if overwrite else ' again'} goes on from here"
        text = f"{done} of {count(len(cases), 'image')} done and kept, see {table}; {again}"
        raise KeyboardInterrupt(text) from None
    _print_summary(outcomes, *write_overview(output, outcomes))
    return outcomes


def segment_all(
    segmenter: SlideSegmenter,
    slides: str | Sequence[str],
    output: str,
    scheduler: str | None,
    overwrite: bool,
    strict: bool = False,
) -> None:
    """Segment slides for the bundle's config, and raise an error about failed slides after the last slide.

    Args:
        segmenter: segmenter for all slides.
        slides: slides, folders or tables, see `find_cases`.
        output: folder for the folders of all slides.
        scheduler: address of a Dask cluster; None for this machine.
        overwrite: True to segment finished slides again.
        strict: True if warnings of a result are errors.

    Raises:
        InputError: a slide failed, or has warnings in the strict mode; and the errors of `segment_cohort`.
    """
    inputs = [slides] if isinstance(slides, str) else list(slides)
    outcomes = segment_cohort(segmenter, inputs, output, scheduler, overwrite)
    failed = [outcome for outcome in outcomes if outcome.result is None]
    problems = [f"{failed[0].case.path.name}: {failed[0].problem}"] if len(outcomes) == 1 and failed else []
    if failed and not problems:
        problems = [f"{len(failed)} of {len(outcomes)} images failed; {_reasons(Path(output) / TABLE)}"]
    if strict:
        codes = {each.case.path.name: ", ".join(warning["code"] for warning in each.warnings) for each in outcomes}
        problems += [f"{name}: {text} (strict)" for name, text in codes.items() if text]
    if problems:
        raise InputError("; ".join(problems))


def _segment(segmenter: SlideSegmenter, output: Path, overwrite: bool, job: str, case: Case) -> SlideResult:
    """Segment one slide into its folder, and return the content of `result.json`."""
    return segmenter.run(case.path, output / case.name, overwrite, case.mpp, job)


def _on_cluster(segment: Segment, cases: Sequence[Case], scheduler: str) -> Iterator[CaseResult]:
    try:
        from monai_seunet.slides.cohort.cluster import segment_on_cluster
    except ImportError as error:
        raise missing("a scheduler needs dask and distributed; one of them", "cluster") from error
    return segment_on_cluster(segment, cases, scheduler)


def _line(outcome: CaseResult) -> str:
    if outcome.result is None:
        return f"{outcome.case.name}: failed: {outcome.problem.removeprefix(f'{outcome.case.path}: ')}"
    result = outcome.result
    resolution = f", {result['resolution']}" if result["mpp"] else ""  # else a warning says it
    notes = "".join(f"; {note}" for note in result["notes"])
    kept = "; already done, kept" if outcome.kept else ""
    return f"{outcome.case.name}: {result['objects']} nuclei{resolution}{notes}{kept}"


def _reasons(table: Path) -> str:
    return f"the reasons are in {table}, column remarks"


def _print_summary(outcomes: Sequence[CaseResult], table: Path, page: Path) -> None:
    """Print where the results are, how many images failed or were kept, and the warnings."""
    outcomes = sorted(outcomes, key=lambda outcome: outcome.case.name)  # a cluster finishes them in any order
    failed = sum(outcome.result is None for outcome in outcomes)
    kept = sum(outcome.kept for outcome in outcomes)
    warned = [outcome for outcome in outcomes if outcome.warnings]
    write_line(f"{len(outcomes) - failed} of {count(len(outcomes), 'image')} done; table {table}, page {page}")
    if kept:
        write_line(f"already done and kept: {count(kept, 'image')}; --overwrite makes all again")
    if failed and len(outcomes) > 1:
        write_line(f"{count(failed, 'image')} failed; {_reasons(table)}")
    results = [outcome.result for outcome in outcomes if outcome.result is not None]
    if any(are_many_left_out(result["objects"], result["dropped"]) for result in results):
        write_line(LEFT_OUT)
    if warned:
        write_line(f"warnings of {len(warned)} of {len(outcomes)} images:" if len(outcomes) > 1 else "warnings:")
        for outcome in warned:
            for warning in outcome.warnings:
                write_line(f"  {outcome.case.name}: {warning['text']}")
