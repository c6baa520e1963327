"""Training in several processes: wrapped modules, and an orderly end."""

from __future__ import annotations

import time

import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = 60.0  # seconds to wait for other processes


def distribute(module: nn.Module) -> nn.Module:
    """Return the module wrapped for distributed training, or itself if it has nothing to train.

    `DistributedDataParallel` refuses modules without trained parameters, such as most losses.
    """
    trains = any(parameter.requires_grad for parameter in module.parameters())
    return DistributedDataParallel(module) if trains else module


def leave_process_group() -> None:
    """Leave the process group, and return after all processes have left it.

    `DistributedDataParallel` keeps the connections of a destroyed group. If a process ends while another process is
    still connected, gloo aborts it ("terminate called without an active exception") after its work is done.
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
    except (dist.DistError, RuntimeError):  # the process with the store has ended, because all have left
        return
