"""A training of a second: noise images, a network of two layers, every handler of the bundle's trainer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedTrainer
from monai.transforms import Compose, RandFlipd, RandGaussianNoised
from torch import nn

from monai_seunet.handlers import EpochSeedHandler, OneCycleHandler, TrainingStateHandler, WeightAverageHandler
from monai_seunet.losses import ScaleGroupLoss
from monai_seunet.networks.unet.base import Network


class TwoHeads(Network):
    """(B, 3, H, W) -> (B, 2, 2, H, W)."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(in_channels=3, out_channels=2, stride=1)
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.Conv2d(width, 4, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).unflatten(1, (2, 2))


@dataclass
class Training:
    """A trainer and what was put into it; `losses` fills while it runs."""

    trainer: SupervisedTrainer
    network: nn.Module
    loss: ScaleGroupLoss
    schedule: OneCycleHandler
    loader: DataLoader
    average: WeightAverageHandler
    losses: dict[int, float] = field(default_factory=dict)
    rates: dict[int, float] = field(default_factory=dict)

    def run(self) -> Self:
        self.trainer.run()
        return self


def noise_images(count: int = 10) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, 8, 8, generator=generator) for _ in range(count)]
    return [{"image": image, "label": (image[:1] > 0.6).long()} for image in images]


@pytest.fixture
def make_training(tmp_path: Path) -> Callable[..., Training]:
    """Build a training whose state is kept in `tmp_path/last.pt`."""

    def make(
        epochs: int = 3,
        resume: bool = False,
        seed: int = 0,
        width: int = 4,
        num_workers: int = 0,
        max_minutes: float | None = None,
        clock: str | Callable[[], float] = "wall",
        handlers: tuple[Any, ...] = (),
    ) -> Training:
        if not resume:
            (tmp_path / "last.pt").unlink(missing_ok=True)  # of the training before in the same test
        torch.manual_seed(seed)
        flip = RandFlipd(["image", "label"], prob=0.5, spatial_axis=0)
        images = Dataset(noise_images(), Compose([flip, RandGaussianNoised("image", prob=0.5)]))
        loader = DataLoader(images, batch_size=4, shuffle=True, num_workers=num_workers)
        network, loss = TwoHeads(width), ScaleGroupLoss(2)
        optimizer = torch.optim.Adam([*network.parameters(), *loss.parameters()], weight_decay=1e-4)
        schedule = OneCycleHandler(optimizer, 0.05, epochs, len(loader), max_minutes, clock)
        average = WeightAverageHandler(network, momentum=0.1)
        state = TrainingStateHandler(
            tmp_path / "last.pt",
            {"network": network, "loss": loss, "optimizer": optimizer, "schedule": schedule, "average": average},
            plan={"seed": seed, "epochs": epochs},
            resume=resume,
        )
        trainer = SupervisedTrainer(
            device="cpu",
            max_epochs=epochs,
            train_data_loader=loader,
            network=network,
            optimizer=optimizer,
            loss_function=loss,
            train_handlers=[state, EpochSeedHandler(seed, loader), schedule, average, *handlers],
            decollate=False,
        )
        training = Training(trainer, network, loss, schedule, loader, average)

        @trainer.on(Events.ITERATION_COMPLETED)
        def remember(engine: SupervisedTrainer) -> None:
            training.losses[engine.state.iteration] = engine.state.output["loss"].item()
            training.rates[engine.state.iteration] = optimizer.param_groups[0]["lr"]

        return training

    return make
