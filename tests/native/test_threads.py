"""Tests of the threads of the kernels beside those of torch."""

import threading
import time
from pathlib import Path

import pytest
import torch

from monai_seunet.native import kernels as threads

TASKS = Path("/proc/self/task")


@pytest.fixture
def three_threads(global_state):
    torch.set_num_threads(3)


def run_in_torch() -> torch.Tensor:
    """A calculation that is long enough for all threads of torch."""
    return torch.arange(4_000_000, dtype=torch.float64).sqrt().sum()


@pytest.mark.skipif(not TASKS.exists() or threads._openmp() is None, reason="no /proc, or torch without OpenMP")
def test_threads_of_torch_that_wait_end_and_come_back(three_threads):
    def count() -> int:
        return len(list(TASKS.iterdir()))

    expected = run_in_torch()
    working = count()  # threads of other tests may end, too, while this one runs
    assert threads.kernel_threads() == 3
    for _ in range(100):
        if count() <= working - 2:
            break
        time.sleep(0.05)
    left = count()
    assert left <= working - 2

    assert torch.equal(run_in_torch(), expected)
    assert count() >= left + 2


def test_threads_of_other_callers_go_on(three_threads):
    stop, sums = threading.Event(), []

    def calculate() -> None:
        while not stop.is_set():
            sums.append(run_in_torch())

    other = threading.Thread(target=calculate)
    other.start()
    for _ in range(50):
        threads.kernel_threads()
    stop.set()
    other.join()
    assert len({float(total) for total in sums}) == 1


def test_the_number_is_kept_from_the_start_of_a_step(three_threads):
    assert threads.kernel_threads(2) == 2
