"""Segment the slides of a cohort: what `monai-seunet segment` and `inference_wsi.json` run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_seunet.slides.cohort.cases import Case, find_cases
from monai_seunet.slides.cohort.run import CaseResult, segment_here
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.utils.errors import InputError, make_folder
from monai_seunet.utils.progress import write_line


@dataclass(frozen=True)
class Job:
    """Segments one slide of a cohort into its folder; can be sent to another process."""

    segmenter: SlideSegmenter
    output: Path
    overwrite: bool
    name: str

    def __call__(self, case: Case) -> dict[str, Any]:
        """Return the content of `result.json`."""
        return self.segmenter.run(case.path, self.output / case.name, self.overwrite, case.mpp, self.name).facts


def segment_cohort(
    segmenter: SlideSegmenter,
    slides: Sequence[str | Path],
    output: str | Path,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> list[CaseResult]:
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
    job = Job(segmenter, make_folder(output).absolute(), overwrite, str(uuid.uuid4()))
    outcomes = []
    for outcome in _on_cluster(job, cases, scheduler) if scheduler else segment_here(job, cases):
        outcomes.append(outcome)
        write_line(_line(outcome))  # above the bars
    _say_at_the_end(outcomes, output)
    return outcomes


def segment_all(
    segmenter: SlideSegmenter,
    slides: str | Sequence[str],
    output: str,
    scheduler: str | None,
    overwrite: bool,
    strict: bool = False,
) -> None:
    """What the bundle runs.

    Args:
        segmenter: as `segment_cohort`, like what follows.
        slides: see there.
        output: see there.
        scheduler: see there.
        overwrite: see there.
        strict: warnings of a result are an error, too.

    Raises:
        InputError: as `segment_cohort`; and where a slide failed, or has warnings and that is an error, after all
            others are done.
    """
    named = [slides] if isinstance(slides, str) else list(slides)
    outcomes = segment_cohort(segmenter, named, output, scheduler, overwrite)
    wrong = [f"{one.case.path.name}: {one.problem}" for one in outcomes if one.result is None]
    if strict:
        codes = {one.case.path.name: ", ".join(warning["code"] for warning in one.warnings) for one in outcomes}
        wrong += [f"{name}: {found} (strict)" for name, found in codes.items() if found]
    if wrong:
        raise InputError("; ".join(wrong))


def _on_cluster(job: Job, cases: Sequence[Case], scheduler: str) -> Iterator[CaseResult]:
    try:
        from monai_seunet.slides.cohort.cluster import segment_on_cluster
    except ImportError as error:
        raise InputError("a scheduler needs dask and distributed; pip install 'monai_seunet[cluster]'") from error
    return segment_on_cluster(job, cases, scheduler)


def _line(outcome: CaseResult) -> str:
    if outcome.result is None:
        return f"{outcome.case.name}: failed: {outcome.problem}"
    result = outcome.result
    notes = "".join(f"; {note}" for note in result["notes"])
    return f"{outcome.case.name}: {result['objects']} nuclei, {result['resolution']}{notes}"


def _say_at_the_end(outcomes: Sequence[CaseResult], output: str | Path) -> None:
    """What nobody should miss: the slides that failed, and the warnings of the others, slide by slide."""
    outcomes = sorted(outcomes, key=lambda outcome: outcome.case.name)  # a cluster finishes them in any order
    failed = [outcome for outcome in outcomes if outcome.result is None]
    warned = [outcome for outcome in outcomes if outcome.warnings]
    if len(outcomes) > 1:
        write_line(f"{len(outcomes) - len(failed)} of {len(outcomes)} slides are done; results in {output}")
        for outcome in failed:
            write_line(f"  not done: {outcome.case.name}: {outcome.problem}")
    if warned:
        write_line(f"warnings of {len(warned)} of {len(outcomes)} slides:" if len(outcomes) > 1 else "warnings:")
        for outcome in warned:
            for warning in outcome.warnings:
                write_line(f"  {outcome.case.name}: {warning['text']}")
