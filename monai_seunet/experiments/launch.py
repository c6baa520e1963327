"""Parallel trainings on the cores of this machine, or on the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from queue import Queue

from monai_seunet.experiments.plan import Training
from monai_seunet.experiments.training import Place, run_training
from monai_seunet.utils.dask import dask_client
from monai_seunet.utils.errors import find_input_error
from monai_seunet.utils.progress import progress_bar, write_line


def train_here(trainings: Sequence[Training], place: Place, processes: int) -> Iterator[str]:
    """Run trainings on this machine, `processes` at the same time; they share no cores if there are enough.

    Yields:
        One line for each training that failed; the others continue.
    """
    cores = sorted(os.sched_getaffinity(0))
    shares: Queue[set[int]] = Queue()
    for number in range(processes):
        shares.put(set(cores[number::processes]) or set(cores))

    def take_turn(training: Training) -> str | None:
        share = shares.get()
        try:
            os.sched_setaffinity(0, share)  # for this thread and its child processes
            return _problem(training, lambda: run_training(training, place))
        finally:
            shares.put(share)

    pool = ThreadPoolExecutor(processes)
    try:
        waiting = {pool.submit(take_turn, training) for training in trainings}
        with progress_bar(total=len(trainings), desc="trainings", unit="training") as bar:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                bar.update(len(done))
                yield from (problem for future in done if (problem := future.result()))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def train_on_cluster(trainings: Sequence[Training], place: Place, scheduler: str) -> Iterator[str]:
    """Run trainings on a Dask cluster, one in each task, see `train_here`; paths are the same on all workers.

    `scheduler` is the address of the scheduler, such as `tcp://host:8786`.

    Raises:
        InputError: no scheduler answers.
    """
    from distributed import as_completed

    with dask_client(scheduler) as client:
        tasks = {client.submit(run_training, training, place, pure=False): training for training in trainings}
        for future in progress_bar(as_completed(tasks), total=len(tasks), desc="trainings", unit="training"):
            problem = _problem(tasks[future], future.result)
            if problem:
                yield problem


def _problem(training: Training, action: Callable[[], object]) -> str | None:
    """Run a training and print its end, or return its error in one line."""
    try:
        action()
    except Exception as error:
        return str(find_input_error(error) or f"{type(error).__name__}: {error}")
    write_line(f"{training.name}: done")
    return None
