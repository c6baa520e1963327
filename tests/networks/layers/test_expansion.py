"""The cache of values that are computed from a weight."""

import pytest
import torch
from torch import nn

from monai_seunet.networks.layers.expansion import ExpansionCache


@pytest.mark.parametrize("way", ["fused", "foreach"])
@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.AdamW])
def test_a_step_of_an_optimiser_is_seen(optimiser, way):
    weight, cache = nn.Parameter(torch.ones(3)), ExpansionCache[float]()

    def present() -> float:
        with torch.no_grad():
            return cache.get(weight, 0, lambda _: weight.sum().item())

    assert present() == 3
    before, chosen = weight._version, optimiser([weight], lr=0.5, weight_decay=0.0, **{way: True})
    weight.grad = torch.ones(3)
    chosen.step()
    assert present() == pytest.approx(1.5) and (way == "foreach" or weight._version == before)


def test_values_are_kept_until_the_weight_changes():
    weight, cache, calls = nn.Parameter(torch.ones(3), requires_grad=False), ExpansionCache[int](), []
    for expected in (1, 1):
        cache.get(weight, 0, lambda _: calls.append(0))
        assert len(calls) == expected
    weight.add_(1)
    cache.get(weight, 0, lambda _: calls.append(0))
    assert len(calls) == 2
