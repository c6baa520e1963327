"""Training in several processes: wrapped modules, and the end of two real processes."""

import subprocess
import sys

import pytest
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from monai_seunet.losses import ScaleGroupLoss
from monai_seunet.utils.process_group import distribute

PROGRAM = """
import time
import torch.distributed as dist
from monai_seunet.utils.process_group import leave_process_group

dist.init_process_group("gloo")
rank, destroy = dist.get_rank(), dist.destroy_process_group

def slowly():
    time.sleep(1.0)
    destroy()

if rank == 0:
    dist.destroy_process_group = slowly
start = time.monotonic()
dist.barrier()
leave_process_group()
print("process", rank, "waited", time.monotonic() - start > 0.9, flush=True)
"""


@pytest.mark.slow
def test_nobody_has_left_before_all_have(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, *launcher, str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "process 0 waited True" in done.stdout and "process 1 waited True" in done.stdout


def test_a_loss_without_trained_weights_is_not_wrapped(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        assert isinstance(distribute(ScaleGroupLoss()), DistributedDataParallel)
        assert isinstance(distribute(ScaleGroupLoss(trained_weights=False)), ScaleGroupLoss)
    finally:
        dist.destroy_process_group()
