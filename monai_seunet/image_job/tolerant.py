"""Loading and segmenting of images of which one that cannot be used does not stop the others."""

from __future__ import annotations

import logging
from typing import Any

from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from monai.utils import CommonKeys

from monai_seunet.image_job.job import ImageJob
from monai_seunet.utils.errors import find_input_error

SOURCE_KEY, PROBLEM_KEY = "source", "problem"

logger = logging.getLogger(__name__)


class TolerantDataset(Dataset):
    """A data list with its transform, in which an image that cannot be used becomes an item that says why.

    Every item names its file under `source`; that of a bad image has nothing else but `problem`, so that it comes
    through a data loader of any number of workers. Batches have to be of one image.

    Args:
        data: items with the file under `image`.
        transform: as of MONAI's `Dataset`.
    """

    def _transform(self, index: int) -> dict[Any, Any]:
        source = str(self.data[index][CommonKeys.IMAGE])
        try:
            return {**super()._transform(index), SOURCE_KEY: source}
        except Exception as error:  # of whatever reads the format
            return {SOURCE_KEY: source, PROBLEM_KEY: _problem(error, source)}


class TolerantEvaluator(SupervisedEvaluator):
    """MONAI's evaluator on a `TolerantDataset`: where an image fails, it goes on with the next one.

    Args:
        job: is told what became of every image.
        options: of `SupervisedEvaluator`.
    """

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
    """What went wrong, in one line; what is no mistake of the user goes to the log with its trace."""
    known = find_input_error(error)
    if known is not None:
        return str(known)
    logger.error("%s failed", source, exc_info=error)
    cause: BaseException = error  # MONAI names the transform, and torch the worker, above what went wrong
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return f"{source}: {type(cause).__name__}: {next(iter(str(cause).splitlines()), '')}; the trace is in the log"
