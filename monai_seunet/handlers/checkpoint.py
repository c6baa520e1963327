"""Handlers that save the best weights and the state for resuming a training."""

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
    """Object whose state can be saved and restored: network, loss, optimiser or schedule."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Restore a state."""


class BestWeightsHandler:
    """Handler that saves the weights whenever the evaluator's key metric is the best so far.

    Attach it to the evaluator. The file contains only the state dictionary, so other programs can load it.

    Args:
        path: checkpoint file.
        network: network to save, not wrapped for distributed training.
    """

    def __init__(self, path: str | Path, network: nn.Module) -> None:
        self.path = Path(path)
        self.network = network

    def attach(self, engine: Workflow) -> None:
        """Attach the handler to an evaluator."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Save the weights if this epoch has the best key metric."""
        if engine.state.best_metric_epoch == engine.state.epoch and engine.state.rank == 0:
            save_checkpoint(self.network.state_dict(), self.path)


class TrainingStateHandler:
    """Handler that saves the whole state of a training after every epoch and resumes a training.

    Invariant: with `EpochSeedHandler`, a run that was killed and resumed has the same losses as an uninterrupted run,
    bit by bit on a CPU.

    Attach it to the trainer before the handlers that use the restored objects. It saves after all other handlers of an
    epoch, so validation and logs of a saved epoch are complete. In a distributed run the process of rank 0 writes
    and every process reads.

    Args:
        path: checkpoint file.
        objects: objects to save by name; `network` is required.
        plan: values that a resumed run must share with the run that it continues, such as seed and epochs.
        evaluator: evaluator whose best metric is saved.
        resume: whether to resume from `path`.

    Raises:
        InputError: for a new run if `path` exists; for a resumed run if the checkpoint is missing, belongs to another
            network or has another plan; after an epoch if the checkpoint cannot be written.
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
            raise ValueError(f"objects must contain the network as '{NETWORK_KEY}', got {sorted(objects)}")
        self.path = Path(path)
        self.network = network
        self.other_objects = {name: item for name, item in objects.items() if item is not network}
        self.plan = dict(plan or {})
        self.evaluator = evaluator
        self.resume = resume

    def attach(self, engine: Workflow) -> None:
        """Attach the handler to a trainer."""
        engine.add_event_handler(Events.STARTED, self.start)

    def start(self, engine: Workflow) -> None:
        """Restore the state of a resumed run, and register saving after the handlers that are attached already."""
        if self.resume:
            self.restore(engine)
        elif self.path.exists():
            advice = "resume it with --resume true, or give another --ckpt_dir"
            raise InputError(f"{self.path}: a training is saved there; {advice}")
        if not engine.has_event_handler(self.save, Events.EPOCH_COMPLETED):
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Workflow) -> None:
        """Save the state in the process of rank 0."""
        if engine.state.rank != 0:
            return
        content: dict[str, Any] = {name: item.state_dict() for name, item in self.other_objects.items()}
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
        """Restore the state from the checkpoint."""
        content = load_checkpoint(self.path)
        self._check(content)
        apply_weights(self.network, content[NETWORK_KEY], self.path)
        for name, item in self.other_objects.items():
            item.load_state_dict(_adapt(item, content[name]))
        if engine.scaler is not None and "scaler" in content:
            engine.scaler.load_state_dict(content["scaler"])
        vars(engine.state).update(content["trainer"])
        if self.evaluator is not None and "evaluator" in content:
            vars(self.evaluator.state).update(content["evaluator"])
        logger.info("resumed %s after epoch %d, iteration %d", self.path, engine.state.epoch, engine.state.iteration)

    def _check(self, content: Mapping[str, Any]) -> None:
        missing = [name for name in (NETWORK_KEY, *self.other_objects, "plan", "trainer") if name not in content]
        if missing:
            lacks = f"cannot be resumed because it lacks {', '.join(missing)}"
            raise InputError(f"{self.path}: {lacks}; give the last.pt of a training")
        for name, planned in self.plan.items():
            saved = content["plan"].get(name, planned)  # older checkpoints lack some values
            if saved != planned:
                raise InputError(
                    f"{self.path}: was trained with {name} {saved} and cannot be resumed with {planned}; "
                    f"give {name} {saved}, or start anew without --resume"
                )


def _adapt(item: Stateful, state: Any) -> Any:
    """Return a state in which an optimiser keeps its own choice of a fused kernel, which depends on the device."""
    if not isinstance(item, torch.optim.Optimizer):
        return state
    pairs = zip(state["param_groups"], item.param_groups, strict=False)
    return {**state, "param_groups": [{**saved, "fused": current.get("fused")} for saved, current in pairs]}


def _plain(value: Any) -> Any:
    """Return a tensor or a NumPy scalar as a Python number, which loads without running code."""
    return value.item() if hasattr(value, "item") else value
