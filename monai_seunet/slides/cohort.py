"""Many slides: one after the other, or spread over a cluster; what fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from monai_seunet.errors import InputError, find_input_error
from monai_seunet.slides.cases import Case

logger = logging.getLogger(__name__)
RETRIES = 2  # of a slide on other workers, where something else than the slide is wrong


@dataclass(frozen=True)
class Outcome:
    """What became of a slide.

    Attributes:
        case: the slide.
        result: what its `result.json` says; None where it failed.
        problem: why, in one line.
    """

    case: Case
    result: dict[str, Any] | None
    problem: str = ""


Segment = Callable[[Case], dict[str, Any]]


def attempt(segment: Segment, case: Case) -> Outcome:
    """Segment a slide; what is wrong with it becomes its outcome, any other error is raised."""
    try:
        return Outcome(case, segment(case))
    except Exception as error:
        known = find_input_error(error) or _of_the_disk(error)
        if known is None:
            raise
        return Outcome(case, None, str(known))


def run_here(segment: Segment, cases: Sequence[Case]) -> Iterator[Outcome]:
    """Segment slides one after the other, with a bar over all."""
    for case in tqdm(cases, desc="slides", unit="slide", disable=len(cases) == 1):
        try:
            yield attempt(segment, case)
        except Exception as error:
            logger.exception("%s failed", case.path)
            yield Outcome(case, None, f"{type(error).__name__}: {error}")


def run_on_cluster(segment: Segment, cases: Sequence[Case], scheduler: str) -> Iterator[Outcome]:
    """Segment slides on a Dask cluster, one slide a task; results come as they are ready.

    A slide whose worker dies is finished by another one, from where it was; one that fails is tried again.

    Args:
        segment: can be pickled; every worker sees the slides and the output folder by the same paths.
        cases: the slides.
        scheduler: address, as `tcp://host:8786`.

    Raises:
        InputError: where there is no scheduler, or Dask is not installed.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise InputError("a scheduler needs dask and distributed; pip install 'monai_seunet[cluster]'") from error
    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{scheduler}: no Dask scheduler answers there ({error}); give its address") from error
    with client, client.as_current():
        network = client.scatter(segment, broadcast=True)  # once to every worker, not with every slide
        futures = {client.submit(attempt, network, case, retries=RETRIES, pure=False): case for case in cases}
        done = tqdm(as_completed(futures), total=len(cases), desc="slides", unit="slide")
        for future in done:
            failure, case = future.exception(), futures[future]
            yield future.result() if failure is None else Outcome(case, None, f"{type(failure).__name__}: {failure}")


def _of_the_disk(error: BaseException) -> InputError | None:
    """A full disk or a folder without permission, as something that the user can act on."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return InputError(f"{where}{error.strerror}; free some space and go on, or give another output folder")
    return None
