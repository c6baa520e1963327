"""What is logged about scales is what network and loss compute with."""

import pytest
import torch
from ignite.engine import Events

from monai_seunet.handlers import ScaleStateHandler, scale_state
from monai_seunet.losses import ScaleGroupLoss
from monai_seunet.networks import PlainUNet, SEUNet


def test_every_layer_and_group_is_listed():
    net, loss = SEUNet(width=5, sigma_ranges="paper"), ScaleGroupLoss(5)
    state = scale_state(net, loss)
    assert len(state) == 18 * 5 + 5
    first = [state[f"sigma/encoder0.0/group{k}"] for k in range(1, 6)]
    assert first == pytest.approx([0.25, 0.75, 1.25, 1.75, 2.25])  # the middles of the paper's ranges
    assert [state[f"eta/group{k}"] for k in range(1, 6)] == pytest.approx([0.2] * 5)


def test_the_plain_network_has_loss_weights_alone():
    assert scale_state(PlainUNet(width=4), ScaleGroupLoss(1)) == {"eta/group1": pytest.approx(1.0)}


def test_weights_follow_the_training_and_the_loss_of_a_group_is_the_mean_over_its_epoch(make_training):
    seen, losses = [], []
    training = make_training(epochs=2)
    trainer, loss = training.trainer, training.loss
    ScaleStateHandler(training.network, loss).attach(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: losses.append(loss.latest.clone()))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: seen.append(engine.state.scale_state))
    training.run()
    weights = [value for name, value in seen[1].items() if name.startswith("eta/")]
    assert weights == pytest.approx(loss.weights().tolist()) and sum(weights) == pytest.approx(1.0)
    epochs = torch.stack(losses).unflatten(0, (2, -1)).mean(1)
    for state, expected in zip(seen, epochs.tolist(), strict=True):
        assert [value for name, value in state.items() if name.startswith("loss/")] == pytest.approx(expected)
    assert all(seen[0][f"{name}/group1"] != seen[1][f"{name}/group1"] for name in ("eta", "loss"))
