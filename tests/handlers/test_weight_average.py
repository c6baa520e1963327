"""The running mean of the weights against its formula, and what it is for."""

import copy

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from monai_seunet.handlers import WeightAverageHandler
from monai_seunet.utils.errors import InputError


def trained(momentum, steps):
    """A network whose weights wander, the handler that followed it, and its states after every step."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).double()
    handler, states = WeightAverageHandler(network, momentum), []

    def step(engine, batch):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network(torch.randn(2, 2, 6, 6, dtype=torch.float64))
        states.append(copy.deepcopy(network.state_dict()))

    trainer = Engine(step)
    handler.attach(trainer)
    trainer.run(range(steps))
    return network, handler, states


def test_the_mean_is_that_of_the_formula():
    _, handler, states = trained(0.05, 300)
    found, momenta = handler.averaged.state_dict(), [max(0.05, 9 / (10 + step)) for step in range(300)]
    for name in ("0.weight", "1.bias", "1.running_mean", "1.running_var"):
        expected = states[0][name]
        for state, momentum in zip(states[1:], momenta[1:], strict=True):
            expected = (1 - momentum) * expected + momentum * state[name]
        torch.testing.assert_close(found[name], expected, rtol=1e-12, atol=1e-12)
    assert found["1.num_batches_tracked"] == 300


def test_after_few_steps_the_start_is_forgotten():
    _, handler, states = trained(0.01, 20)
    mean = handler.averaged.state_dict()["0.weight"]
    distances = [(mean - state["0.weight"]).norm() for state in states]
    assert min(distances[:10]) > max(distances[-2:])


def test_without_an_average_the_network_is_kept():
    network, handler, _ = trained(1, 30)
    for name, tensor in network.state_dict().items():
        assert torch.equal(handler.averaged.state_dict()[name], tensor)


@pytest.mark.parametrize("momentum", [0, -0.1, 1.1])
def test_a_momentum_that_is_none_is_refused(momentum):
    with pytest.raises(InputError, match=f"average_momentum is {momentum}; give a number above 0 and at most 1"):
        WeightAverageHandler(nn.Linear(1, 1), momentum)
