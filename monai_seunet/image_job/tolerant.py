"""Data set and evaluator that continue after an image that cannot be used."""

from __future__ import annotations

import logging
from typing import Any

from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from monai.utils import CommonKeys

from monai_seunet.image_job.job import ImageJob
from monai_seunet.utils.errors import find_input_error, innermost

SOURCE_KEY, PROBLEM_KEY = "source", "problem"

logger = logging.getLogger(__name__)


class TolerantDataset(Dataset):
    """MONAI's `Dataset` in which an image that cannot be used becomes an item with a `problem`.

    Every item has its file under `source`. The item of an unusable image has only `source` and `problem`, so it
    passes through a data loader with any number of workers. The batch size must be 1. Items of `data` have the file
    under `image`.
    """

    def _transform(self, index: int) -> dict[Any, Any]:
        source = str(self.data[index][CommonKeys.IMAGE])
        try:
            return {**super()._transform(index), SOURCE_KEY: source}
        except Exception as error:  # libraries for image formats raise errors of all types
            return {SOURCE_KEY: source, PROBLEM_KEY: _problem(error, source)}


class TolerantEvaluator(SupervisedEvaluator):
    """MONAI's `SupervisedEvaluator` for a `TolerantDataset`: `job` records every image, also one that failed."""

    def __init__(self, job: ImageJob, **options: Any) -> None:
        super().__init__(**options)
        self.job = job

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> Any:
        source = batchdata[SOURCE_KEY][0]
        if PROBLEM_KEY in batchdata:
            self.job.fail(source, batchdata[PROBLEM_KEY][0])
            return {}
        try:
            output = super()._iteration(engine, batchdata)
        except Exception as error:
            self.job.fail(source, _problem(error, source))
            return {}
        self.job.finish(source, output[0][CommonKeys.PRED])
        return output


def _problem(error: Exception, source: str) -> str:
    """Return the problem in one line; other errors than `InputError` are logged with their trace."""
    input_error = find_input_error(error)
    if input_error is not None:
        return str(input_error)
    logger.error("%s failed", source, exc_info=error)
    cause = innermost(error)
    return f"{source}: {type(cause).__name__}: {next(iter(str(cause).splitlines()), '')}; the trace is in the log"
