"""Processes that are killed on the way: who comes next goes on, to the same files."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import killable
import psutil
import pytest
from dark_slides import CENTRES, content, draw
from distributed import LocalCluster
from killable import held_segmenter

from monai_seunet.slides.cohort.segment import segment_cohort

MANY = [(row + down, column + right) for row, column in CENTRES for down in (0, 400) for right in (0, 400)]


def wait_for(path: Path, patience: float = 120.0) -> None:
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
    slide, out = draw(tmp_path / "a.tif", side=800, centres=MANY), tmp_path / "killed"
    for point in ("rows/000003", "rows/000005", "blocks/000044.npz"):  # of 8 rows of windows and 49 blocks
        assert not (out / ".work" / point).exists()
        process = subprocess.Popen([sys.executable, killable.__file__, slide, out, point], start_new_session=True)
        wait_for(out / ".work" / point)
        family = psutil.Process(process.pid).children(recursive=True)
        assert any(member.ppid() != process.pid for member in family), "there is a worker, which a server has forked"
        process.kill()  # not its workers, which have to end by themselves
        assert process.wait() == -signal.SIGKILL
        wait_for_the_end_of_group(process.pid)
    held_segmenter().run(slide, out)
    held_segmenter().run(slide, tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.slow
def test_a_cluster_gives_the_same_files_even_where_a_worker_is_killed(tmp_path):
    slides, there = tmp_path / "slides", tmp_path / "there"
    slides.mkdir()
    draw(slides / "a.tif", side=800, centres=MANY)
    for number in range(2):
        draw(slides / f"{number}.tif", centres=CENTRES[number:])
    killed = []

    def kill() -> None:
        wait_for(there / "a" / ".work" / "rows" / "000001")
        killed.append(int((there / "a" / ".lock").read_text().split()[1]))
        os.kill(killed[0], signal.SIGKILL)
        (tmp_path / "killed").touch()

    held = held_segmenter(there / "a" / ".work" / "rows" / "000001", tmp_path / "killed")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        killer = threading.Thread(target=kill)
        killer.start()
        outcomes = segment_cohort(held, [slides], there, cluster.scheduler_address)
        killer.join()
    assert killed and killed[0] != os.getpid() and all(outcome.result is not None for outcome in outcomes)
    segment_cohort(held_segmenter(), [slides], tmp_path / "here")
    for name in "a01":
        assert content(there / name) == content(tmp_path / "here" / name)
