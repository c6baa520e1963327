"""Handlers that keep the best weights, and the state from which a killed training goes on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import nn

from monai_seunet.networks.checkpoints import NETWORK_KEY, apply_weights, load_checkpoint, save_checkpoint
from monai_seunet.utils.errors import InputError

logger = logging.getLogger(__name__)

_PROGRESS = ("iteration", "epoch")
_BEST = ("best_metric", "best_metric_epoch")


class Stateful(Protocol):
    """What can be saved and restored: networks, losses, optimisers, schedules."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take over a state."""


class BestWeightsHandler:
    """Write the weights of the network whenever the evaluator's key metric is the best so far.

    Attach it to the evaluator. The file holds the state dictionary alone, so that bundles, exports and other programs
    can load it.

    Args:
        path: the checkpoint.
        network: the network that is saved, not wrapped for distributed training.
    """

    def __init__(self, path: str | Path, network: nn.Module) -> None:
        self.path = Path(path)
        self.network = network

    def attach(self, engine: Workflow) -> None:
        """Follow the epochs of an evaluator."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Save where this epoch brought the best key metric."""
        if engine.state.best_metric_epoch == engine.state.epoch and engine.state.rank == 0:
            save_checkpoint(self.network.state_dict(), self.path)


class TrainingStateHandler:
    """Write the whole state of a training after every epoch, and go on from it.

    Invariant: with `EpochSeedHandler`, which makes all randomness of an epoch a function of seed and epoch, a run that
    was killed at any moment and resumed goes through the same losses as one that was not, bit by bit on a CPU.

    Attach it to the trainer before the handlers that use what it restores. It saves after all handlers of an epoch, so
    that validation and logs of a saved epoch are complete. In a distributed run the process of rank 0 writes and every
    process reads.

    Args:
        path: the checkpoint.
        objects: what is saved, by name; `network` is needed.
        plan: plain values that a resumed run must share with the run that it continues, such as seed and epochs.
        evaluator: its best metric is saved, too.
        resume: go on from `path`.

    Raises:
        InputError: at the start of a new run, where `path` holds another one; at the start of a resumed run, where
            there is no checkpoint, it is of another network, or the plan differs; after an epoch, where it cannot be
            written.
    """

    def __init__(
        self,
        path: str | Path,
        objects: Mapping[str, Stateful],
        plan: Mapping[str, Any] | None = None,
        evaluator: Workflow | None = None,
        resume: bool = False,
    ) -> None:
        network = objects.get(NETWORK_KEY)
        if not isinstance(network, nn.Module):
            raise ValueError(f"objects must hold the network as '{NETWORK_KEY}', got {sorted(objects)}")
        self.path = Path(path)
        self.network = network
        self.others = {name: item for name, item in objects.items() if item is not network}
        self.plan = dict(plan or {})
        self.evaluator = evaluator
        self.resume = resume

    def attach(self, engine: Workflow) -> None:
        """Follow the epochs of a trainer."""
        engine.add_event_handler(Events.STARTED, self.start)

    def start(self, engine: Workflow) -> None:
        """Restore if it is asked for, and queue the saving behind the handlers that are attached by now."""
        if self.resume:
            self.restore(engine)
        elif self.path.exists():
            raise InputError(
                f"{self.path}: a training is kept there; go on with --resume true, give another --ckpt_dir, or move it"
            )
        if not engine.has_event_handler(self.save, Events.EPOCH_COMPLETED):
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Workflow) -> None:
        """Write the state; rank 0 only."""
        if engine.state.rank != 0:
            return
        content: dict[str, Any] = {name: item.state_dict() for name, item in self.others.items()}
        content[NETWORK_KEY] = self.network.state_dict()
        content["plan"] = self.plan
        content["trainer"] = {name: getattr(engine.state, name) for name in _PROGRESS}
        content["trainer"]["run_id"] = getattr(engine.state, "run_id", None)
        if engine.scaler is not None:
            content["scaler"] = engine.scaler.state_dict()
        if self.evaluator is not None:
            content["evaluator"] = {name: _plain(getattr(self.evaluator.state, name)) for name in _BEST}
        save_checkpoint(content, self.path)

    def restore(self, engine: Workflow) -> None:
        """Take over the state of the checkpoint."""
        content = load_checkpoint(self.path)
        self._check(content)
        apply_weights(self.network, content[NETWORK_KEY], self.path)
        for name, item in self.others.items():
            item.load_state_dict(_for_this(item, content[name]))
        if engine.scaler is not None and "scaler" in content:
            engine.scaler.load_state_dict(content["scaler"])
        _set(engine, content["trainer"])
        if self.evaluator is not None and "evaluator" in content:
            _set(self.evaluator, content["evaluator"])
        logger.info("resumed %s after epoch %d, iteration %d", self.path, engine.state.epoch, engine.state.iteration)

    def _check(self, content: Mapping[str, Any]) -> None:
        missing = [name for name in (NETWORK_KEY, *self.others, "plan", "trainer") if name not in content]
        if missing:
            raise InputError(
                f"{self.path}: cannot be resumed, it lacks {', '.join(missing)}; give the last.pt of a training"
            )
        for name, planned in self.plan.items():
            found = content["plan"].get(name, planned)  # of a checkpoint that was written before this was kept
            if found != planned:
                raise InputError(
                    f"{self.path}: was trained with {name} {found} and cannot be resumed with {planned}; "
                    f"give {name} {found}, or start anew without --resume"
                )


def _for_this(item: Stateful, state: Any) -> Any:
    """A state for an item that may compute in another way than the one that wrote it: an optimizer in one kernel."""
    if not isinstance(item, torch.optim.Optimizer):
        return state
    pairs = zip(state["param_groups"], item.param_groups, strict=False)
    return {**state, "param_groups": [{**saved, "fused": own.get("fused")} for saved, own in pairs]}


def _set(engine: Workflow, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(engine.state, name, value)


def _plain(value: Any) -> Any:
    """A number that loads without running code, also where a metric gave a tensor or a NumPy scalar."""
    return value.item() if hasattr(value, "item") else value
