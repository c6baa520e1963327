"""The end of a training in several processes."""

from __future__ import annotations

import time

import torch.distributed as dist

PATIENCE = 60.0  # seconds


def leave_process_group() -> None:
    """Leave the process group, and return when all processes have left it.

    `DistributedDataParallel` keeps the connections of a group that is destroyed. A process that ends while another one
    is still connected is aborted by gloo ("terminate called without an active exception"), after all its work is done.
    """
    store, processes = dist.distributed_c10d._get_default_store(), dist.get_world_size()
    dist.barrier()
    dist.destroy_process_group()
    end = time.monotonic() + PATIENCE
    try:
        left = store.add("left", 1)
        while left < processes and time.monotonic() < end:
            time.sleep(0.01)
            left = store.add("left", 0)
    except (dist.DistError, RuntimeError):  # the process that has the store saw all of them leave, and has ended
        return
