"""Processes that are killed on the way: who comes next goes on, to the same files."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import killable
import pytest
from dark_slides import CENTRES, content, draw
from killable import slow_segmenter

from monai_seunet.slides.cohort.segment import segment_cohort

PROGRAM = Path(killable.__file__)
MANY = [(row + down, column + right) for row, column in CENTRES for down in (0, 400) for right in (0, 400)]


def wait_for(path: Path, patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


def wait_for_the_end_of_group(group: int, patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            assert time.monotonic() < end, "workers outlive their parent"
            time.sleep(0.05)


@pytest.mark.slow
def test_a_slide_killed_again_and_again_is_as_if_it_never_was(tmp_path):
    slide = draw(tmp_path / "a.tif", side=800, centres=MANY)
    moments, out = random.Random(0), tmp_path / "killed"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, PROGRAM, slide, out], start_new_session=True)
        wait_for(out / ".lock")
        time.sleep(moments.uniform(0.2, 0.9))
        assert process.poll() is None, "killed too late"
        process.kill()  # not its workers, which have to end by themselves
        process.wait()
        wait_for_the_end_of_group(process.pid)
        (out / ".lock").unlink()  # only so that the next one can be waited for; it would not stand in its way
    subprocess.run([sys.executable, PROGRAM, slide, out], check=True)
    slow_segmenter(0).run(slide, tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.slow
def test_a_slide_whose_cluster_worker_is_killed_is_finished_by_another(tmp_path):
    distributed = pytest.importorskip("distributed")
    slide, killed = draw(tmp_path / "a.tif", side=800, centres=MANY), []

    def kill() -> None:
        wait_for(tmp_path / "there" / "a" / ".work" / "rows" / "000001")
        killed.append(int((tmp_path / "there" / "a" / ".lock").read_text().split()[1]))
        os.kill(killed[0], signal.SIGKILL)

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        killer = threading.Thread(target=kill)
        killer.start()
        (outcome,) = segment_cohort(slow_segmenter(0), [slide], tmp_path / "there", cluster.scheduler_address)
        killer.join()
    assert killed and killed[0] != os.getpid() and outcome.result is not None
    segment_cohort(slow_segmenter(0), [slide], tmp_path / "here")
    assert content(tmp_path / "there" / "a") == content(tmp_path / "here" / "a")
