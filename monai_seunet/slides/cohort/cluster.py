"""Segmentation of many slides by the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence

from distributed import Future, WorkerPlugin, as_completed, get_worker

from monai_seunet.slides.cohort.cases import Case
from monai_seunet.slides.cohort.run import CaseResult, Segment, attempt
from monai_seunet.utils.dask import dask_client
from monai_seunet.utils.progress import progress_bar

RETRIES = 2  # further attempts on other workers after an error that is not about the slide


class SegmentPlugin(WorkerPlugin):
    """Sends network and options to every worker once, also to workers that join later.

    Scattered data would be lost with the workers that hold them.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.name = f"segment-{uuid.uuid4()}"  # two jobs may share a cluster


def segment_on_cluster(segment: Segment, cases: Sequence[Case], scheduler: str) -> Iterator[CaseResult]:
    """Segment slides on a Dask cluster, one slide a task, and yield results in the order of their completion.

    Another worker resumes the slide of a worker that died. A slide that fails is tried again.

    Args:
        segment: function that can be pickled; slides and output folder have the same paths on all workers.
        cases: slides to segment.
        scheduler: address of the scheduler, such as `tcp://host:8786`.

    Raises:
        InputError: no scheduler answers.
    """
    plugin = SegmentPlugin(segment)
    with dask_client(scheduler) as client:
        client.register_plugin(plugin)
        try:
            tasks = [client.submit(segment_on_worker, plugin.name, case, retries=RETRIES, pure=False) for case in cases]
            case_of = dict(zip(tasks, cases, strict=True))
            for future in progress_bar(as_completed(tasks), total=len(cases), desc="images", unit="image"):
                yield _outcome(future, case_of[future])
        finally:
            with contextlib.suppress(OSError):  # a scheduler that has ended needs no cleanup
                client.unregister_worker_plugin(plugin.name)


def segment_on_worker(plugin: str, case: Case) -> CaseResult:
    """Segment a slide on a worker, with the plugin of this name."""
    segment_plugin = get_worker().plugins[plugin]
    assert isinstance(segment_plugin, SegmentPlugin)
    return attempt(segment_plugin.segment, case)


def _outcome(future: Future, case: Case) -> CaseResult:
    if future.cancelled():
        return CaseResult(case, None, "the cluster has given it up; see the log of the scheduler")
    failure = future.exception()
    return future.result() if failure is None else CaseResult(case, None, f"{type(failure).__name__}: {failure}")
