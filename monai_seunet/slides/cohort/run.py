"""Many slides, one after the other; what fails does not stop the others."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from monai_seunet.slides.cohort.cases import Case
from monai_seunet.utils.errors import InputError, find_input_error
from monai_seunet.utils.progress import progress_bar

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaseResult:
    """What became of a slide.

    Attributes:
        case: the slide.
        result: what its `result.json` says; None where it failed.
        problem: why, in one line.
    """

    case: Case
    result: dict[str, Any] | None
    problem: str = ""

    @property
    def warnings(self) -> Sequence[dict[str, str]]:
        """What may be wrong with the result: `code` and `text` of each, also of a slide that was finished before."""
        return (self.result or {}).get("warnings", ())  # results of older versions have none


Segment = Callable[[Case], dict[str, Any]]


def attempt(segment: Segment, case: Case) -> CaseResult:
    """Segment a slide; what is wrong with it becomes its outcome, any other error is raised."""
    try:
        return CaseResult(case, segment(case))
    except Exception as error:
        known = find_input_error(error) or _of_the_disk(error)
        if known is None:
            raise
        return CaseResult(case, None, str(known))


def segment_here(segment: Segment, cases: Sequence[Case]) -> Iterator[CaseResult]:
    """Segment slides one after the other, with a bar over all."""
    for case in progress_bar(cases, desc="slides", unit="slide", disable=len(cases) == 1):
        try:
            yield attempt(segment, case)
        except Exception as error:
            logger.exception("%s failed", case.path)
            yield CaseResult(case, None, f"{type(error).__name__}: {error}")


def _of_the_disk(error: BaseException) -> InputError | None:
    """A full disk or a folder without permission, as something that the user can act on."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "; free some space and go on, or give another output folder" if full else ""
        return InputError(f"{where}{error.strerror}{advice}")
    return None
