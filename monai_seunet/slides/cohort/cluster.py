"""Many slides, spread over the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence

from distributed import Future, WorkerPlugin, as_completed, get_worker

from monai_seunet.slides.cohort.cases import Case
from monai_seunet.slides.cohort.run import CaseResult, Segment, attempt
from monai_seunet.utils.dask import dask_client
from monai_seunet.utils.progress import progress_bar

RETRIES = 2  # of a slide on other workers, where something else than the slide is wrong


class SegmentPlugin(WorkerPlugin):
    """Brings network and options to every worker once, also to one that joins later.

    Data that are scattered are lost with the workers that hold them.

    Args:
        segment: can be pickled.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.name = f"segment-{uuid.uuid4()}"  # two jobs may share a cluster


def segment_on_cluster(segment: Segment, cases: Sequence[Case], scheduler: str) -> Iterator[CaseResult]:
    """Segment slides on a Dask cluster, one slide a task; results come as they are ready.

    A slide whose worker dies is finished by another one, from where it was; one that fails is tried again.

    Args:
        segment: can be pickled; every worker sees the slides and the output folder by the same paths.
        cases: the slides.
        scheduler: address, as `tcp://host:8786`.

    Raises:
        InputError: where there is no scheduler.
    """
    plugin = SegmentPlugin(segment)
    with dask_client(scheduler) as client:
        client.register_plugin(plugin)
        try:
            tasks = [client.submit(segment_on_worker, plugin.name, case, retries=RETRIES, pure=False) for case in cases]
            places = dict(zip(tasks, cases, strict=True))
            for future in progress_bar(as_completed(tasks), total=len(cases), desc="slides", unit="slide"):
                yield _outcome(future, places[future])
        finally:
            with contextlib.suppress(OSError):  # a scheduler that is gone needs no tidying
                client.unregister_worker_plugin(plugin.name)


def segment_on_worker(plugin: str, case: Case) -> CaseResult:
    """What a worker does with a slide."""
    carried = get_worker().plugins[plugin]
    assert isinstance(carried, SegmentPlugin)
    return attempt(carried.segment, case)


def _outcome(future: Future, case: Case) -> CaseResult:
    if future.cancelled():
        return CaseResult(case, None, "the cluster has given it up; see the log of the scheduler")
    failure = future.exception()
    return future.result() if failure is None else CaseResult(case, None, f"{type(failure).__name__}: {failure}")
