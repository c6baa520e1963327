"""Tests of the optimiser that orthogonalises the steps of weight matrices."""

import copy

import pytest
import torch
from torch import nn

from monai_seunet.networks import SEUNet
from monai_seunet.optimizers import Muon, orthogonal


def small_network() -> SEUNet:
    torch.manual_seed(0)
    return SEUNet(3, 2, width=4, num_levels=2, scales_per_octave=2)


def step(network: nn.Module, optimizer: torch.optim.Optimizer, factor: float = 1.0) -> None:
    torch.manual_seed(1)
    optimizer.zero_grad()
    (factor * network(torch.rand(1, 3, 16, 16)).square().mean()).backward()
    optimizer.step()


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6), (1, 5)])
def test_singular_values_become_one_and_singular_vectors_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonal(matrix) @ right.T
    torch.testing.assert_close(found, found.diag().diag(), atol=1e-9, rtol=0)
    assert 0.5 < float(found.diag().min()) <= float(found.diag().max()) < 1.3
    assert float(values.max() / values.min()) > 1.3 or min(shape) == 1


def test_a_step_of_a_matrix_has_the_size_of_the_learning_rate() -> None:
    network = small_network()
    before = copy.deepcopy(network)
    optimizer = Muon(network.named_parameters(), lr=0.01, gain=2.0)
    step(network, optimizer)
    changes = {
        name: (value - old).detach().square().mean().sqrt().item()
        for (name, value), old in zip(network.named_parameters(), before.parameters(), strict=True)
        if value.dim() >= 3
    }
    first, *inner, last = changes.values()
    assert len(inner) == 6
    assert all(0.01 < change < 0.025 for change in inner), changes
    assert first == pytest.approx(0.01, rel=0.01) and last == pytest.approx(0.01, rel=0.01), "the first step of Adam"


def test_outputs_of_a_filter_basis_are_its_second_axis() -> None:
    alpha = nn.Parameter(torch.zeros(3, 2, 5))
    weight = nn.Parameter(torch.zeros(2, 5, 3))  # the same matrix, outputs first
    ends = [nn.Parameter(torch.zeros(1, 1, 1)) for _ in range(2)]
    gradient = torch.randn(3, 2, 5)
    alpha.grad, weight.grad = gradient, gradient.movedim(0, 2)
    optimizer = Muon([("a", ends[0]), ("conv.alpha", alpha), ("conv.weight", weight), ("b", ends[1])], lr=0.01)
    optimizer.step()
    rows = alpha.movedim(1, 0).flatten(1).detach()
    values = torch.linalg.svdvals(rows) / (0.01 * 15**0.5)
    assert 0.5 < float(values.min()) <= float(values.max()) < 1.3
    columns = weight.flatten(1).detach()
    torch.testing.assert_close(columns @ columns.T, rows @ rows.T)
    torch.testing.assert_close(columns[0].norm(), rows[0].norm())


def test_the_size_of_a_gradient_does_not_change_the_step() -> None:
    first, second = small_network(), small_network()
    step(first, Muon(first.named_parameters(), eps=0))
    step(second, Muon(second.named_parameters(), eps=0), factor=1024)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_without_matrices_it_is_adam() -> None:
    first, second = small_network(), small_network()
    step(first, Muon(first.named_parameters(), lr=0.01, matrices=False, weight_decay=0.1))
    step(second, torch.optim.Adam(second.parameters(), lr=0.01, weight_decay=0.1))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_stopped_training_continues_with_the_same_steps() -> None:
    network = small_network()
    optimizer = Muon(network.named_parameters())
    step(network, optimizer)
    other = copy.deepcopy(network)
    resumed = Muon(other.named_parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for net, own in ((network, optimizer), (other, resumed)):
        step(net, own)
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    fresh = Muon(other.named_parameters())
    step(other, fresh)
    step(network, optimizer)
    assert not torch.equal(network.encoder[0][1].conv.alpha, other.encoder[0][1].conv.alpha)


def test_parameters_without_gradient_stay() -> None:
    network = small_network()
    optimizer = Muon(network.named_parameters())
    before = copy.deepcopy(network.state_dict())
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
