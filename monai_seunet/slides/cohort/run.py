"""Segmentation of many slides one after the other; a slide that fails does not stop the others."""

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
    """Result or problem of a slide.

    Attributes:
        case: slide of the cohort.
        result: content of `result.json`; None if the slide failed.
        problem: reason of the failure, in one line.
    """

    case: Case
    result: dict[str, Any] | None
    problem: str = ""

    @property
    def warnings(self) -> Sequence[dict[str, str]]:
        """Warnings about the result with `code` and `text`, also for a slide that an earlier run finished."""
        return (self.result or {}).get("warnings", ())  # results of older versions have none

    @property
    def kept(self) -> bool:
        """Whether an earlier run finished the slide."""
        return bool(getattr(self.result, "kept", False))


Segment = Callable[[Case], dict[str, Any]]


def attempt(segment: Segment, case: Case) -> CaseResult:
    """Segment a slide; an error about its input or the disk becomes the result, other errors are raised."""
    try:
        return CaseResult(case, segment(case))
    except Exception as error:
        problem = find_input_error(error) or _disk_error(error)
        if problem is None:
            raise
        return CaseResult(case, None, str(problem))


def segment_here(segment: Segment, cases: Sequence[Case]) -> Iterator[CaseResult]:
    """Segment slides one after the other, with a progress bar."""
    for case in progress_bar(cases, desc="images", unit="image", disable=len(cases) == 1):
        try:
            yield attempt(segment, case)
        except Exception as error:
            logger.exception("%s failed", case.path)
            yield CaseResult(case, None, f"{type(error).__name__}: {error}")


def _disk_error(error: BaseException) -> InputError | None:
    """Return an error with advice for a full disk or a folder without permission; None for other errors."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "; free some space and go on, or give another output folder" if full else ""
        return InputError(f"{where}{error.strerror}{advice}")
    return None
